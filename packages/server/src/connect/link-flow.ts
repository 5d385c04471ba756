import {
  askedConfig,
  authModeOf,
  integrationNamed,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { NangoError } from '../errors/nango-error.ts';
import { inputProblems } from '../schema/input-fields.ts';
import type { ConnectionKey, ConnectSessionRow } from '../store/store.ts';
import type { Secret } from '../vault/secret.ts';
import { storedConfig } from './attempt-steps.ts';
import { hashToken, integrationsOf, permittedBySession } from './connect-sessions.ts';
import { createPermittedAttempt } from './create-attempt.ts';
import { parseSessionOptions, type SessionOptions } from './session-options.ts';

/** Why a link cannot be used. */
export type LinkEnd = 'used' | 'expired' | 'unknown';

/** A link that can be used, as its page shows it. */
export interface ConnectLink {
  readonly userId: string;
  readonly endUser: SessionOptions['endUser'];
  /** The Integrations of which the user may connect one. */
  readonly integrations: readonly string[];
}

/** What to tell somebody who opens a link that cannot be used. */
export const LINK_ENDS: Readonly<Record<LinkEnd, string>> = {
  used: 'An account was connected with this link. There is nothing more to do.',
  expired: 'This link has expired. Ask for a new one where you received it.',
  unknown: 'This link is not complete, or it expired some time ago. Check that you opened the whole link.',
};

/** Reads a link. It changes nothing, so programs that open links in e-mails cannot use it up. */
export async function findLink(token: Secret<string>, context: ConnectionContext): Promise<ConnectLink | LinkEnd> {
  const session = await context.store.findSessionByLink(hashToken(token));
  const end = linkEnd(session, context);
  if (session === undefined || end !== undefined) return end ?? 'unknown';
  const { endUser } = parseSessionOptions(session.options);
  return { userId: session.userId, endUser, integrations: integrationsOf(session) };
}

/**
 * Creates an attempt of a link, for the Integration that the user chose on its page. Throws `invalid_link` if the link
 * cannot be used, and `forbidden` for an Integration that is not one of the link's.
 */
export async function createLinkAttempt(
  token: Secret<string>,
  integration: string,
  context: ConnectionContext,
): Promise<Secret<string>> {
  const session = await context.store.findSessionByLink(hashToken(token));
  const end = linkEnd(session, context);
  if (session === undefined || end !== undefined) throw new NangoError('invalid_link', LINK_ENDS[end ?? 'unknown']);
  const { tokenHash, userId, account } = session;
  if (!integrationsOf(session).includes(integration))
    throw new NangoError('forbidden', `This link does not allow the integration "${integration}".`);
  const permitted = permittedBySession(session, { integration, userId, account }, context);
  const { attempt } = await createPermittedAttempt(permitted, { origin: null, sessionHash: tokenHash }, context);
  return attempt;
}

/** Whether a user can connect by a link. The page of a link has no fields that they could fill in. */
export async function canConnectByLink(
  key: ConnectionKey,
  { additionalConfig = {} }: SessionOptions,
  context: ConnectionContext,
): Promise<boolean> {
  const integration = integrationNamed(key.integration, context);
  if (!authModeOf(integration).authorization?.applies(integration)) return false;
  const config = { ...(await storedConfig(key, context)), ...additionalConfig[key.integration] };
  return inputProblems(askedConfig(integration), config).length === 0;
}

function linkEnd(session: ConnectSessionRow | undefined, { now }: ConnectionContext): LinkEnd | undefined {
  if (session === undefined) return 'unknown';
  if (session.usedAt !== null) return 'used';
  return session.expiresAt <= now() ? 'expired' : undefined;
}

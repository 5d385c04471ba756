import { randomUUID } from 'node:crypto';
import type { Authorized, BaseCredentials, Identity, Integration } from '../auth-modes/auth-mode.ts';
import { assertConfig, authModeOf, type ConnectionContext } from '../connections/connection-context.ts';
import { formatScopes } from '../connections/granted-scopes.ts';
import { createSeal, type Sealable } from '../connections/sealed-credentials.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { scheduleOf } from '../refresh/refresh-schedule.ts';
import type { ConnectAttemptRow, ConnectionKey, ConnectionRow, NewConnection } from '../store/store.ts';
import { accountMismatch, isSameIdentity, revokeUnwanted } from './account-change.ts';
import type { OpenAttempt } from './attempt-steps.ts';
import { union } from './requested-scopes.ts';
import type { AttemptOptions } from './session-options.ts';

/** Stores the connection, with the config that the provider supplied, and ends the attempt. */
export async function storeAuthorized(
  attempt: OpenAttempt,
  { config: supplied, ...authorized }: Authorized<BaseCredentials>,
  context: ConnectionContext,
): Promise<ConnectionRow> {
  const { row, integration, options, oauthClient } = attempt;
  const merged = { ...attempt.additionalConfig, ...supplied };
  try {
    assertConfig(integration, merged);
  } catch (cause) {
    throw new NangoError(
      'provider_error',
      `The provider’s response does not fit the Integration. ${messageOf(cause)}`,
      { cause },
    );
  }
  const additionalConfig = Object.keys(supplied).length > 0 ? JSON.stringify(merged) : row.additionalConfig;
  const connection = { ...authorized, integration, oauthClient, additionalConfig, options };
  try {
    return await storeConnection(row, connection, context);
  } catch (error) {
    if (error instanceof NangoError && error.code === 'account_mismatch')
      await revokeUnwanted(attempt, { ...authorized, config: supplied }, context);
    throw error;
  }
}

/** The attempt that a connection comes from. */
type EndingAttempt = ConnectionKey & Pick<ConnectAttemptRow, 'attemptHash' | 'tags'>;

/** What a connection is built from. */
interface NewCredentials extends Sealable, Pick<NewConnection, 'additionalConfig'>, Partial<AuthorizedBy> {
  readonly integration: Integration;
  readonly options: AttemptOptions;
}

type AuthorizedBy = Pick<Authorized<BaseCredentials>, 'identity' | 'requestedScopes'>;

/**
 * Stores a connection, and ends its attempt. Throws `account_mismatch` if it would replace one of another account at
 * the provider, and `connection_not_found` if the one that it has to replace is gone. Then nothing is stored.
 */
export async function storeConnection(
  attempt: EndingAttempt,
  credentials: NewCredentials,
  context: ConnectionContext,
): Promise<ConnectionRow> {
  const { identity, options } = credentials;
  const connection = await newConnection(attempt, credentials, context);
  const mayReplace = (earlier: Identity | null) =>
    options.allowAccountChange === true || isSameIdentity(earlier, identity);
  const stored = await context.store.completeAttempt(attempt.attemptHash, connection, mayReplace);
  if (!stored) throw accountMismatch(identity);
  context.log.info({ integration: attempt.integration }, 'connection made');
  return stored;
}

/** Builds a connection to be stored. */
async function newConnection(
  { integration: name, userId, account, tags }: EndingAttempt,
  { integration, credentials, oauthClient, identity, requestedScopes, additionalConfig, options }: NewCredentials,
  context: ConnectionContext,
): Promise<NewConnection> {
  const key = { integration: name, userId, account };
  const mode = authModeOf(integration);
  return {
    ...key,
    id: randomUUID(),
    authMode: mode.name,
    seal: await createSeal({ credentials, oauthClient }, key, context),
    oauthClientId: oauthClient?.clientId,
    additionalConfig,
    tags,
    replaces: options.connectionId,
    grant: {
      identity: identity ?? null,
      requestedScopes: formatScopes(requestedScopes && union(options.keptScopes ?? [], requestedScopes)),
      grantedScopes: formatScopes(mode.scopes?.granted(credentials, integration)),
    },
    ...scheduleOf(credentials, { mode, integration }, context),
    now: context.now(),
  };
}

import type { AdditionalConfig, BaseCredentials, Identity } from '../auth-modes/auth-mode.ts';
import { modeContext, type ConnectionContext } from '../connections/connection-context.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionKey } from '../store/store.ts';
import type { OpenAttempt } from './attempt-steps.ts';

// A provider account has few connections. More than these are not looked through.
const MAX_CONNECTIONS = 100;

/**
 * Whether a connection of the identity `earlier` may be replaced by one of `now`. Null = `earlier` is not known, so
 * there is nothing to compare.
 */
export function isSameIdentity(earlier: Identity | null, now: Identity | undefined): boolean {
  if (earlier === null) return true;
  return earlier.user === now?.user && (earlier.workspace === null || earlier.workspace === now.workspace);
}

/** Returns the error of a reconnect that came back as another identity. */
export function accountMismatch(identity: Identity | undefined): NangoError {
  const chosen = identity?.name ?? identity?.user;
  return new NangoError(
    'account_mismatch',
    chosen === undefined
      ? 'The provider did not say which account was chosen, so it may not be the one of this connection. ' +
          'Nothing was changed. Connect again.'
      : `"${chosen}" is not the account of this connection. Nothing was changed. ` +
          'Connect again with the same account, or connect this one in addition.',
  );
}

/** A grant that is not stored. */
interface UnwantedGrant {
  readonly credentials: BaseCredentials;
  readonly config: AdditionalConfig;
  readonly identity: Identity | undefined;
}

/**
 * Revokes a grant that is not stored, if the provider account is connected nowhere else here: many providers revoke all
 * grants of an account together. A failure is logged only, because the user can do no more about it.
 */
export async function revokeUnwanted(
  { integration, mode: { revocation }, config: settings }: OpenAttempt,
  { credentials, config: supplied, identity }: UnwantedGrant,
  context: ConnectionContext,
): Promise<void> {
  if (!identity || !revocation?.applies(integration)) return;
  try {
    if (await isConnected(integration.name, identity, context)) return;
    const config = { ...settings, ...supplied };
    await revocation.revoke({ integration, config, credentials }, modeContext(integration, context));
  } catch (err) {
    context.log.warn({ integration: integration.name, err }, 'an unwanted grant could not be revoked');
  }
}

/** Returns the user's other accounts here that belong to the same account at the provider as this connection. */
export async function otherAccountsOf(key: ConnectionKey, { store }: ConnectionContext): Promise<string[]> {
  const { integration, userId } = key;
  const identity = (await store.findConnection(key))?.identity;
  if (!identity) return [];
  const rows = await store.listConnections({ integration, userId, identity: identity.user, limit: MAX_CONNECTIONS });
  return rows
    .filter((row) => row.account !== key.account && isSameIdentity(row.identity, identity))
    .map(({ account }) => account);
}

/** Whether an account at the provider is connected here, by whichever user. */
async function isConnected(integration: string, identity: Identity, { store }: ConnectionContext): Promise<boolean> {
  const rows = await store.listConnections({ integration, identity: identity.user, limit: MAX_CONNECTIONS });
  return rows.length === MAX_CONNECTIONS || rows.some((row) => isSameIdentity(row.identity, identity));
}

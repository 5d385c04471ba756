import type { ConnectionContext } from '../connections/connection-context.ts';
import { NangoError } from '../errors/nango-error.ts';
import { DEFAULT_ACCOUNT, type ConnectionKey } from '../store/store.ts';

/** Throws `migration_unfinished` for another account than `default` while earlier releases can use the database. */
export async function assertCanStoreAccount(
  { account }: Pick<ConnectionKey, 'account'>,
  { store }: Pick<ConnectionContext, 'store'>,
): Promise<void> {
  if (account === DEFAULT_ACCOUNT || (await store.isMigrationFinished())) return;
  throw new NangoError(
    'migration_unfinished',
    `The account "${account}" cannot be stored yet, because servers of an earlier release may use the database. ` +
      'End these servers, then run: nango migrate finish',
  );
}

/**
 * Throws `too_many_accounts` if a user would have more accounts connected than the configuration permits, and the error
 * of {@link assertCanStoreAccount}.
 */
export async function assertMayHaveAccount(
  { integration, userId, account }: ConnectionKey,
  { store, config }: Pick<ConnectionContext, 'store' | 'config'>,
): Promise<void> {
  await assertCanStoreAccount({ account }, { store });
  const limit = config().server.max_accounts_per_user;
  const existing = await store.listConnections({ integration, userId, limit });
  if (existing.length < limit || existing.some((connection) => connection.account === account)) return;
  throw new NangoError(
    'too_many_accounts',
    `User "${userId}" has ${limit} accounts connected to "${integration}", which is the maximum. ` +
      'Delete one, or raise max_accounts_per_user in nango-config.yaml.',
  );
}

/** An account as a caller asks for it: by name, or a new one that the server names. Neither: the default one. */
export interface AccountChoice {
  readonly account?: string | undefined;
  readonly newAccount?: boolean | undefined;
}

/** The account that a caller chose. Throws `invalid_request` if it chose both a name and a new account. */
export function chosenAccount(
  { account, newAccount = false }: AccountChoice,
  { randomToken }: Pick<ConnectionContext, 'randomToken'>,
): string {
  if (!newAccount) return account ?? DEFAULT_ACCOUNT;
  if (account === undefined) return `${GENERATED}${randomToken().slice(0, GENERATED_LENGTH)}`;
  throw new NangoError('invalid_request', 'Send account, or newAccount: true to let the server name it, not both.');
}

/** Whether the server named an account. */
export function isGeneratedAccount(account: string): boolean {
  return account.startsWith(GENERATED) && account.length === GENERATED.length + GENERATED_LENGTH;
}

const GENERATED = 'account-';
const GENERATED_LENGTH = 12;

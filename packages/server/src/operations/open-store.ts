import { existsSync } from 'node:fs';
import type { FastifyBaseLogger } from 'fastify';
import { createClock } from '../clock.ts';
import type { Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { databaseFile, readEncryptionKeys } from './keys.ts';
import { openMemoryStore, openSqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import { createVault, type Vault } from '../vault/vault.ts';

const KEY_CHECK_PLACE = { table: 'nango_meta', row: 'key_check', column: 'value' };

/** A store, and the keys that open it. Closes with `await using`. */
export interface KeyedStore extends AsyncDisposable {
  readonly store: Store;
  readonly vault: Vault;
}

/** What to do with a database that is not ready. */
export interface StoreAccess {
  /** If no server has used it yet. `imagine` works on an empty one in memory, for dry runs. */
  readonly missing: 'refuse' | 'imagine' | 'create';
  /** If migrations are missing. */
  readonly outdated: 'refuse' | 'migrate';
}

const READ_ONLY: StoreAccess = { missing: 'refuse', outdated: 'refuse' };

/**
 * Opens the store and the vault without a server. Unless `access` permits it, nothing is written: no file, no
 * migration, no key check value. Throws `store_not_ready` for a database that must be written first.
 */
export async function openKeyedStore(settings: Settings, access: StoreAccess = READ_ONLY): Promise<KeyedStore> {
  const hasStore = settings.databaseUrl !== undefined || existsSync(databaseFile(settings));
  if (!hasStore && access.missing === 'refuse')
    throw new NangoError(
      'store_not_ready',
      `There is no database ${databaseFile(settings)}. Start a server first, or name another --data-dir.`,
    );
  const vault = createVault(...(await readEncryptionKeys(settings, access.missing)).encryption);
  if (!hasStore && access.missing === 'imagine') return imaginedStore(vault);
  const store = await openStore(settings, { now: createClock() });
  try {
    const isEmpty = (await prepareStore(store, vault, access)) === 'empty';
    if (!isEmpty) return { store, vault, [Symbol.asyncDispose]: () => store.close() };
    await store.close();
    return imaginedStore(vault);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function imaginedStore(vault: Vault): Promise<KeyedStore> {
  const store = openMemoryStore(createClock());
  await store.migrate();
  return { store, vault, [Symbol.asyncDispose]: () => store.close() };
}

/** Opens the store that the settings name. Connects and migrates nothing yet. */
export async function openStore(
  settings: Settings,
  { log, now }: { log?: FastifyBaseLogger; now: () => number },
): Promise<Store> {
  if (settings.databaseUrl === undefined) return openSqliteStore(databaseFile(settings), now);
  // Loaded on demand, to save an embedded server's memory.
  const { openPostgresStore } = await import('../store/postgres.ts');
  return openPostgresStore(settings.databaseUrl, {
    onError: (error) => log?.warn({ err: error }, 'a database connection broke'),
  });
}

/**
 * Proves the key, then migrates if `access` permits it. The key comes first, so a command with a wrong key changes
 * nothing. Resolves to `empty` if the unused database is left as it is.
 */
export async function prepareStore(store: Store, vault: Vault, access: StoreAccess): Promise<'ready' | 'empty'> {
  const state = await store.schemaState();
  const check = state === 'empty' ? undefined : await store.storedKeyCheck();
  if (check) assertOpens(check, vault);
  if (!check && access.missing !== 'create') {
    if (access.missing === 'imagine') return 'empty';
    throw new NangoError(
      'store_not_ready',
      `The database is empty: no server has used it yet (${store.description}). Start a server first.`,
    );
  }
  if (state === 'outdated' && access.outdated === 'refuse')
    throw new NangoError(
      'store_not_ready',
      'An earlier version wrote this database, and this command does not migrate it. Start a server of this version once; the server migrates the database.',
    );
  if (state === 'empty' || state === 'outdated') await store.migrate();
  // If several servers start on an empty database with different keys, the first key is accepted.
  if (!check) assertOpens(await store.keyCheck(vault.seal('nango', KEY_CHECK_PLACE)), vault);
  return 'ready';
}

/** Proves the key again, because a rotation may have come between the first proof and this server's record. */
export async function assertSameKey(store: Store, vault: Vault): Promise<void> {
  const check = await store.storedKeyCheck();
  if (check) assertOpens(check, vault);
}

/** The wrong key must stop the start: it would seal new credentials that the right key cannot open. */
function assertOpens(check: Uint8Array, vault: Vault): void {
  try {
    vault.open(check, KEY_CHECK_PLACE);
  } catch (cause) {
    throw new NangoError(
      'invalid_encryption_key',
      'The encryption key is not the one this database was sealed with. Set NANGO_ENCRYPTION_KEY to the original key, or restore the original encryption.key from its backup.',
      { cause },
    );
  }
}

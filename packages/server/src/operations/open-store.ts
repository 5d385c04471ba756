import { existsSync } from 'node:fs';
import type { FastifyBaseLogger } from 'fastify';
import { createClock } from '../clock.ts';
import type { Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { databaseFile, readEncryptionKeys } from './keys.ts';
import { openMemoryStore, openSqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import { Secret } from '../vault/secret.ts';
import { createVault, type Vault } from '../vault/vault.ts';

const KEY_CHECK = new Secret('nango');
const KEY_CHECK_PLACE = { table: 'nango_meta', row: 'key_check', column: 'value' };

/** A store, and the vault that opens its values. Closes with `await using`. */
export interface KeyedStore extends AsyncDisposable {
  readonly store: Store;
  readonly vault: Vault;
}

/** What is done with a database that is not ready. */
export interface StoreAccess {
  /** If no server has used it yet. `temporary` uses an empty store in memory, for dry runs. */
  readonly missing: 'refuse' | 'temporary' | 'create';
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
      `The database ${databaseFile(settings)} does not exist. Start a server first, or name another --data-dir.`,
    );
  const vault = createVault(...(await readEncryptionKeys(settings, access.missing)).encryption);
  if (!hasStore && access.missing === 'temporary') return temporaryStore(vault);
  const store = await openStore(settings, { now: createClock() });
  try {
    const isEmpty = (await prepareStore(store, vault, access)) === 'empty';
    if (!isEmpty) return { store, vault, [Symbol.asyncDispose]: () => store.close() };
    await store.close();
    return temporaryStore(vault);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function temporaryStore(vault: Vault): Promise<KeyedStore> {
  const store = openMemoryStore(createClock());
  await store.migrate();
  return { store, vault, [Symbol.asyncDispose]: () => store.close() };
}

/** Opens the store that the settings name. Does not connect or migrate yet. */
export async function openStore(
  settings: Settings,
  { log, now }: { log?: FastifyBaseLogger; now: () => number },
): Promise<Store> {
  if (settings.databaseUrl === undefined) return openSqliteStore(databaseFile(settings), now);
  // Imported on demand, to save the memory of a server with the embedded store.
  const { openPostgresStore } = await import('../store/postgres.ts');
  return openPostgresStore(settings.databaseUrl, {
    onError: (error) => log?.warn({ err: error }, 'a database connection broke'),
  });
}

/**
 * Proves the key, then migrates if `access` permits it. The key is proven first, so a command with a wrong key changes
 * nothing. Resolves to `empty` if the database is unused and stays unused.
 */
export async function prepareStore(store: Store, vault: Vault, access: StoreAccess): Promise<'ready' | 'empty'> {
  const state = await store.schemaState();
  const check = state === 'empty' ? undefined : await store.storedKeyCheck();
  if (check) assertOpens(check, vault);
  if (!check && access.missing !== 'create') {
    if (access.missing === 'temporary') return 'empty';
    throw new NangoError(
      'store_not_ready',
      `The database is empty, because no server has used it yet (${store.description}). Start a server first.`,
    );
  }
  if (state === 'outdated' && access.outdated === 'refuse')
    throw new NangoError(
      'store_not_ready',
      'An earlier version wrote this database, and this command does not migrate it. ' +
        'Start a server of this version once; the server migrates the database.',
    );
  if (state === 'empty' || state === 'outdated') await store.migrate();
  // If several servers start on an empty database with different keys, the first key is accepted.
  if (!check) assertOpens(await store.keyCheck(vault.seal(KEY_CHECK, KEY_CHECK_PLACE)), vault);
  return 'ready';
}

/** Proves the key again. A rotation may have ended between the first proof and this server's record in the store. */
export async function assertSameKey(store: Store, vault: Vault): Promise<void> {
  const check = await store.storedKeyCheck();
  if (check) assertOpens(check, vault);
}

/** Throws if the key is wrong. A wrong key would seal new credentials that the right key cannot open. */
function assertOpens(check: Uint8Array, vault: Vault): void {
  try {
    vault.open(check, KEY_CHECK_PLACE);
  } catch (cause) {
    throw new NangoError(
      'invalid_encryption_key',
      'The encryption key is not the key that sealed this database. Set NANGO_ENCRYPTION_KEY to the original key, ' +
        'or restore the original encryption.key from its backup.',
      { cause },
    );
  }
}

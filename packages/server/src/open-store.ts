import { existsSync } from 'node:fs';
import type { FastifyBaseLogger } from 'fastify';
import { createClock } from './clock.ts';
import type { Settings } from './config/settings.ts';
import { NangoError } from './errors/nango-error.ts';
import { databaseFile, readKeys } from './keys.ts';
import { openSqliteStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import { createVault, type Vault } from './vault/vault.ts';

/** A store and what opens it; closes with `await using`. */
export interface KeyedStore extends AsyncDisposable {
  readonly store: Store;
  readonly vault: Vault;
}

/** The store and the vault alone, for work on what is stored; made with `create` where there is none. Throws as the start of a server does. */
export async function openKeyedStore(
  settings: Settings,
  { create = false }: { create?: boolean } = {},
): Promise<KeyedStore> {
  if (!create && settings.databaseUrl === undefined && !existsSync(databaseFile(settings)))
    throw new NangoError('missing_setting', `There is no database ${databaseFile(settings)}.`);
  const keys = await readKeys(settings);
  const store = await openStore(settings, { now: createClock() });
  try {
    await store.migrate();
    const vault = createVault(...keys.encryption);
    await assertSameKey(store, vault);
    return { store, vault, [Symbol.asyncDispose]: () => store.close() };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Opens the store the settings name; nothing is connected or migrated yet. */
export async function openStore(
  settings: Settings,
  { log, now }: { log?: FastifyBaseLogger; now: () => number },
): Promise<Store> {
  if (settings.databaseUrl === undefined) return openSqliteStore(databaseFile(settings), now);
  // Loaded on demand: an embedded server saves its memory.
  const { openPostgresStore } = await import('./store/postgres.ts');
  return openPostgresStore(settings.databaseUrl, {
    onError: (error) => log?.warn({ err: error }, 'a database connection broke'),
  });
}

/** A key that is not this database's must stop the start: it would seal new credentials that the right one cannot open. */
export async function assertSameKey(store: Store, vault: Vault): Promise<void> {
  const place = { table: 'nango_meta', row: 'key_check', column: 'value' };
  const stored = await store.keyCheck(vault.seal('nango', place));
  try {
    vault.open(stored, place);
  } catch (cause) {
    throw new NangoError(
      'invalid_encryption_key',
      'The encryption key is not the one this database was sealed with. Set NANGO_ENCRYPTION_KEY (or restore encryption.key) to the original key; a backup of it must exist where the server first ran.',
      { cause },
    );
  }
}

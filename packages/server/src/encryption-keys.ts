import { join } from 'node:path';
import type { Settings } from './config/settings.ts';
import { NangoError } from './errors/nango-error.ts';
import { openKeyedStore } from './open-store.ts';
import type { SealedTable, SealedValue, Store } from './store/store.ts';
import { prependKey } from './vault/key-files.ts';
import { keyIdOf, type SealedPlace, type Vault } from './vault/vault.ts';

const BATCH = 200;
const TABLES: readonly SealedTable[] = ['connections', 'client_registrations', 'connect_attempts', 'nango_meta'];

/** How many values each key seals, by its id. */
export interface KeyUsage {
  readonly sealingKeyId: string;
  /** Keys that are here, and keys that values name. */
  readonly keys: readonly { readonly id: string; readonly values: number; readonly present: boolean }[];
  /** Values that no key here opens, or that are damaged. */
  readonly unreadable: number;
}

/** What a rotation did. */
export interface KeyRotation {
  readonly resealed: number;
  /** Values that were sealed with the newest key already. */
  readonly current: number;
  readonly unreadable: number;
}

/** Makes a key of the embedded store that seals from the next start on; returns the file it is in. */
export function addKey(settings: Settings): string {
  const { encryptionKey, encryptionKeyFile, encryptionKeyCommand, databaseUrl } = settings;
  if ([encryptionKey, encryptionKeyFile, encryptionKeyCommand, databaseUrl].some((setting) => setting !== undefined))
    throw new NangoError(
      'missing_setting',
      'The key is given by NANGO_ENCRYPTION_KEY (or …_FILE, …_COMMAND): put a new one in front of it there, as "new,old" (openssl rand -base64 32), and start every server again.',
    );
  const path = join(settings.dataDirectory, 'encryption.key');
  prependKey(path);
  return path;
}

/** Opens every sealed value and counts by key. Changes nothing. */
export async function checkKeys(settings: Settings): Promise<KeyUsage> {
  await using opened = await openKeyedStore(settings);
  const { store, vault } = opened;
  const counts = new Map<string, number>(vault.keyIds.map((id) => [id, 0]));
  let unreadable = 0;
  for await (const value of sealedValues(store)) {
    if (openValue(value, vault) === undefined) unreadable += 1;
    const id = keyIdOf(value.sealed);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const keys = [...counts].map(([id, values]) => ({ id, values, present: vault.keyIds.includes(id) }));
  return { sealingKeyId: vault.keyId, keys, unreadable };
}

/**
 * Seals every value with the newest key, in batches, while servers go on. A value that changes meanwhile is left to
 * whoever changed it; what was done stays done, so that a rotation cut short is simply begun again.
 */
export async function rotateKeys(settings: Settings, onProgress: (done: KeyRotation) => void): Promise<KeyRotation> {
  await using opened = await openKeyedStore(settings, { missing: 'refuse', outdated: 'migrate' });
  const { store, vault } = opened;
  const done = { resealed: 0, current: 0, unreadable: 0 };
  let seen = 0;
  for await (const value of sealedValues(store)) {
    done[await reseal(value, store, vault)] += 1;
    if ((seen += 1) % BATCH === 0) onProgress({ ...done });
  }
  return done;
}

async function reseal(value: SealedValue, store: Store, vault: Vault): Promise<keyof KeyRotation> {
  if (keyIdOf(value.sealed) === vault.keyId) return 'current';
  const plaintext = openValue(value, vault);
  if (plaintext === undefined) return 'unreadable';
  // Where somebody was faster, that server's newest key sealed it; the next rotation would see.
  return (await store.replaceSealed(value, vault.seal(plaintext, placeOf(value)))) ? 'resealed' : 'current';
}

function openValue(value: SealedValue, vault: Vault): string | undefined {
  try {
    return vault.open(value.sealed, placeOf(value));
  } catch {
    return undefined;
  }
}

/** Where each table's values were sealed for; the same as where they are written. */
function placeOf({ table, key }: SealedValue): SealedPlace {
  const columns: Record<SealedTable, string> = {
    connections: 'sealed_credentials',
    client_registrations: 'sealed_client',
    connect_attempts: 'sealed_secrets',
    nango_meta: 'value',
  };
  return { table, column: columns[table], row: key.length === 1 ? (key[0] ?? '') : JSON.stringify(key) };
}

async function* sealedValues(store: Store): AsyncGenerator<SealedValue> {
  for (const table of TABLES) {
    let after: readonly string[] | undefined;
    for (;;) {
      const page = await store.sealedValues(table, { after, limit: BATCH });
      yield* page;
      after = page.at(-1)?.key;
      if (page.length < BATCH) break;
    }
  }
}

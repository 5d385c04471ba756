import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { openKeyedStore } from './open-store.ts';
import { serversWithout } from './server-presence.ts';
import type { SealedTable, SealedValue, Store } from '../store/store.ts';
import { prependKey } from '../vault/key-files.ts';
import { openSealed, placeOf, type SealedRow } from '../connections/sealed-credentials.ts';
import { keyIdOf, type Vault } from '../vault/vault.ts';

const BATCH = 200;
// The key check value comes first. Once it is sealed with the newest key, no server can start without that key.
const TABLES: readonly SealedTable[] = [
  'nango_meta',
  'connections',
  'client_registrations',
  'connect_sessions',
  'connect_attempts',
];

/** The number of sealed values by the id of their key. */
export interface KeyUsage {
  readonly sealingKeyId: string;
  /** The keys that this command has, and the keys that values were sealed with. */
  readonly keys: readonly { readonly id: string; readonly values: number; readonly present: boolean }[];
  /** The number of values that are damaged, or whose key is missing. */
  readonly unreadable: number;
  /** The names of running servers that lack the sealing key, or do not report their keys. */
  readonly serversWithoutKey: readonly string[];
}

/** The result of a rotation. */
export interface KeyRotation {
  readonly resealed: number;
  /** Values that already used the newest key. */
  readonly current: number;
  readonly unreadable: number;
}

/** Adds a new key to the embedded store's key file. It seals after the next start. Returns the file's path. */
export function addKey(settings: Settings): string {
  const { encryptionKey, encryptionKeyFile, encryptionKeyCommand, databaseUrl } = settings;
  if ([encryptionKey, encryptionKeyFile, encryptionKeyCommand, databaseUrl].some((setting) => setting !== undefined))
    throw new NangoError(
      'unsupported_store',
      'nango keys add changes only the key file of the embedded store, but a setting provides the key. ' +
        'Make a key with: openssl rand -base64 32. Put it in front of the old key in NANGO_ENCRYPTION_KEY ' +
        '(or …_FILE, …_COMMAND), as "new,old". Then start every server again.',
    );
  const path = join(settings.dataDirectory, 'encryption.key');
  prependKey(path);
  return path;
}

/** Opens every sealed value and counts them by key. Changes nothing. */
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
  const serversWithoutKey = (await serversWithout(vault.keyId, store)).map(({ name }) => name);
  return { sealingKeyId: vault.keyId, keys, unreadable, serversWithoutKey };
}

/**
 * Seals every value with the newest key, in batches, while servers run. A value that changes meanwhile is skipped. An
 * interrupted rotation can be repeated, because finished batches are kept. Throws `key_not_everywhere`, and changes
 * nothing, if a running server could not open the new values.
 */
export async function rotateKeys(settings: Settings, onProgress: (done: KeyRotation) => void): Promise<KeyRotation> {
  await using opened = await openKeyedStore(settings, { missing: 'refuse', outdated: 'refuse' });
  const { store, vault } = opened;
  await assertEveryServerHoldsKey(store, vault);
  const done = { resealed: 0, current: 0, unreadable: 0 };
  let processed = 0;
  for await (const value of sealedValues(store)) {
    done[await reseal(value, store, vault)] += 1;
    if (value.table === 'nango_meta') await assertEveryServerStillHoldsKey(value, store, vault);
    if ((processed += 1) % BATCH === 0) onProgress({ ...done });
  }
  return done;
}

async function assertEveryServerHoldsKey(store: Store, vault: Vault): Promise<void> {
  const serversLackingKey = await serversWithout(vault.keyId, store);
  if (serversLackingKey.length === 0) return;
  const names = serversLackingKey.map(({ name }) => `  ${name}`).join('\n');
  throw new NangoError(
    'key_not_everywhere',
    `No value was sealed with the newest key, because these servers run without it:\n${names}\n` +
      'Start each server again with both keys. A server that was killed is listed for 45 seconds.',
  );
}

/** Checks again for a server that started since the first check. If there is one, restores the key check value. */
async function assertEveryServerStillHoldsKey(check: SealedValue, store: Store, vault: Vault): Promise<void> {
  try {
    await assertEveryServerHoldsKey(store, vault);
  } catch (error) {
    const [current] = await store.sealedValues('nango_meta', { after: undefined, limit: 1 });
    if (current) await store.replaceSealed(current, check.sealed);
    throw error;
  }
}

async function reseal(value: SealedValue, store: Store, vault: Vault): Promise<keyof KeyRotation> {
  const opened = openValue(value, vault);
  if (opened === undefined) return keyIdOf(value.sealed) === vault.keyId ? 'current' : 'unreadable';
  const isBound = opened.bindsId || !(await store.isMigrationFinished());
  if (isBound && keyIdOf(value.sealed) === vault.keyId) return 'current';
  // If the value has changed, a server sealed it with its own newest key. The next rotation checks the value again.
  const place = value.table === 'connections' && !isBound ? placeOf(rowOf(value)) : opened.place;
  return (await store.replaceSealed(value, vault.seal(opened.plaintext, place))) ? 'resealed' : 'current';
}

/** A value's plaintext, the place it was sealed for, and whether a connection's id is a part of that. */
function openValue(value: SealedValue, vault: Vault) {
  try {
    if (value.table === 'connections') return openSealed(rowOf(value), vault);
    const place = { table: value.table, column: COLUMNS[value.table], row: rowText(value) };
    return { plaintext: vault.open(value.sealed, place), place, bindsId: true };
  } catch {
    return undefined;
  }
}

const COLUMNS: Readonly<Record<Exclude<SealedTable, 'connections'>, string>> = {
  client_registrations: 'sealed_client',
  connect_attempts: 'sealed_secrets',
  connect_sessions: 'sealed_client',
  nango_meta: 'value',
};

function rowText({ key }: SealedValue): string {
  return key.length === 1 ? (key[0] ?? '') : JSON.stringify(key);
}

function rowOf({ key, names, sealed }: SealedValue): SealedRow {
  const [integration = '', userId = '', account = ''] = names;
  return { id: key[0] ?? '', integration, userId, account, sealedCredentials: sealed };
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

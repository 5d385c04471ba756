import {
  type KeyObject,
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import { NangoError } from '../errors/nango-error.ts';
import { Secret } from './secret.ts';

const VERSION = 1;
const KEY_ID_BYTES = 8;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + IV_BYTES;
const KEY_BYTES = 32;

/**
 * The place of a sealed value. It is bound to the ciphertext, so a value that is moved to another row does not open.
 */
export interface SealedPlace {
  readonly table: string;
  readonly row: string;
  readonly column: string;
}

/** Encryption keys of 32 bytes. The first key seals, and all keys open. */
export type EncryptionKeys = readonly [Secret<Uint8Array>, ...Secret<Uint8Array>[]];

/** Seals values for the store, and opens them. */
export interface Vault {
  /** The id of the key that seals: 16 hexadecimal digits from which the key cannot be computed. */
  readonly keyId: string;
  /** The ids of all keys that open. */
  readonly keyIds: readonly string[];
  seal(plaintext: Secret<string>, place: SealedPlace): Uint8Array;
  /** Throws `credentials_unreadable` if the value was damaged or moved, or the vault lacks its key. */
  open(sealed: Uint8Array, place: SealedPlace): Secret<string>;
}

/**
 * Creates a vault with 256-bit keys. The first key seals, and all keys open. The cipher is AES-256-GCM (NIST SP
 * 800-38D) with a random 96-bit IV for each value.
 *
 * Envelope: version (1 byte) · key id (8) · IV (12) · ciphertext · tag (16). The place is the associated data. With
 * random IVs, one key is safe for 2^32 seals: eight years at a thousand refreshes a minute.
 */
export function createVault(...keys: EncryptionKeys): Vault {
  const [sealing, ...others] = [deriveKeyAndId(keys[0]), ...keys.slice(1).map(deriveKeyAndId)];
  const opening = new Map([sealing, ...others].map((derived) => [derived.id.toString('hex'), derived.key]));
  return {
    keyId: sealing.id.toString('hex'),
    keyIds: [...opening.keys()],
    seal(plaintext, place) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', sealing.key, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedData(place));
      const ciphertext = Buffer.concat([cipher.update(plaintext.reveal(), 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(VERSION), sealing.id, iv, ciphertext, cipher.getAuthTag()]);
    },
    open(sealed, place) {
      assertEnvelope(sealed, place);
      const key = opening.get(keyIdOf(sealed));
      if (!key) throw unreadable(place, 'it was sealed with an encryption key that this server does not have');
      const iv = sealed.subarray(1 + KEY_ID_BYTES, HEADER_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(associatedData(place));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
      try {
        const plaintext = decipher.update(sealed.subarray(HEADER_BYTES, sealed.length - TAG_BYTES));
        return new Secret(Buffer.concat([plaintext, decipher.final()]).toString('utf8'));
      } catch (cause) {
        throw unreadable(place, 'it was altered, or it belongs to another row', cause);
      }
    },
  };
}

/** Returns the id of the key that sealed a value. */
export function keyIdOf(sealed: Uint8Array): string {
  return Buffer.from(sealed.subarray(1, 1 + KEY_ID_BYTES)).toString('hex');
}

/** Parses one or more encryption keys, separated by commas or white space. Throws `invalid_encryption_key`. */
export function parseEncryptionKeys(text: Secret<string>, source: string): EncryptionKeys {
  const [first = new Secret(''), ...others] = text.map(splitKeys).reveal();
  return [parseEncryptionKey(first, source), ...others.map((other) => parseEncryptionKey(other, source))];
}

function splitKeys(text: string): readonly Secret<string>[] {
  return text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .map((part) => new Secret(part));
}

/**
 * Parses an encryption key: 32 bytes as base64, base64url or hex. Throws `invalid_encryption_key`, which names the
 * source of the text, but never the text.
 */
function parseEncryptionKey(text: Secret<string>, source: string): Secret<Uint8Array> {
  const key = text.map(decodeKey);
  if (!key.map(({ length }) => length === KEY_BYTES).reveal()) {
    throw new NangoError(
      'invalid_encryption_key',
      `${source} must hold 32 random bytes as base64 or hex, but holds something else. If this database has ` +
        'connections, restore the key from your backup. Otherwise make a key with: openssl rand -base64 32',
    );
  }
  return key;
}

/** Returns no bytes for text that is neither hex nor base64. */
function decodeKey(text: string): Uint8Array {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  return Buffer.from(/^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? text : '', 'base64');
}

function deriveKeyAndId(key: Secret<Uint8Array>): { id: Buffer; key: KeyObject } {
  const id = createHash('sha256').update(deriveKey(key, 'nango key id v1')).digest().subarray(0, KEY_ID_BYTES);
  // A KeyObject opens values four times as fast as bytes.
  return { id, key: createSecretKey(deriveKey(key, 'nango seal v1')) };
}

function deriveKey(key: Secret<Uint8Array>, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key.reveal(), new Uint8Array(), purpose, KEY_BYTES));
}

function assertEnvelope(sealed: Uint8Array, place: SealedPlace): void {
  if (sealed.length < HEADER_BYTES + TAG_BYTES) throw unreadable(place, 'it is truncated');
  if (sealed[0] !== VERSION) throw unreadable(place, 'its format is unknown');
}

function associatedData({ table, row, column }: SealedPlace): Buffer {
  // JSON separates the three parts, whatever they contain. If concatenated, two places could have the same text.
  return Buffer.from(JSON.stringify([table, row, column]));
}

/** Creates the error for a sealed value that cannot be opened. */
export function unreadable({ table, row, column }: SealedPlace, why: string, cause?: unknown): NangoError {
  return new NangoError(
    'credentials_unreadable',
    `The sealed value ${table}.${column} of row ${row} cannot be opened: ${why}.`,
    {
      cause,
    },
  );
}

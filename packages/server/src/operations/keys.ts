import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  isSecretKey,
  MAX_SECRET_KEY_LENGTH,
  MIN_SECRET_KEY_LENGTH,
  SECRET_KEY_CHARACTERS,
} from '../config/secret-key-format.ts';
import type { Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { prepareDataDirectory, readOrCreateKeyFile } from '../vault/key-files.ts';
import { commandKeys, environmentKeys, fileKeys, type KeyProvider } from '../vault/key-providers.ts';
import { Secret } from '../vault/secret.ts';
import { parseEncryptionKeys, type EncryptionKeys } from '../vault/vault.ts';

/** The keys of a server, and notices about them. */
export interface Keys {
  /** The first key seals, and all keys open. */
  readonly encryption: EncryptionKeys;
  /** All are valid; during a rotation there are two. */
  readonly secrets: readonly Secret<string>[];
  /** Notices for the operator. */
  readonly notices: readonly string[];
}

/** Reads the keys that the settings name. With the embedded store, missing keys are created. */
export async function readKeys(settings: Settings, { isPublic }: { isPublic: boolean }): Promise<Keys> {
  const { encryption, notices } = await readEncryptionKeys(settings, 'create');
  assertSecretKeySet(settings);
  const secrets = (settings.secretKey ?? readEmbeddedSecret(settings, notices)).map(splitSecretKeys).reveal();
  assertSecretKeys(secrets, { notices, isPublic });
  return { encryption, secrets, notices };
}

/**
 * Reads only the encryption keys. If the embedded store has neither key nor database, `create` creates the key file,
 * `temporary` creates a key that is not stored, and `refuse` throws `invalid_encryption_key`.
 */
export async function readEncryptionKeys(
  settings: Settings,
  missing: 'refuse' | 'temporary' | 'create',
): Promise<{ encryption: Keys['encryption']; notices: string[] }> {
  const notices: string[] = [];
  const configured = configuredProvider(settings);
  if (settings.databaseUrl !== undefined) assertEncryptionKeySet(configured);
  if (missing === 'create' && settings.databaseUrl === undefined) prepareDataDirectory(settings.dataDirectory);
  const provider = configured ?? embeddedKeys(settings, { notices, missing });
  return { encryption: parseEncryptionKeys(await provider.read(), provider.source), notices };
}

/** Returns the path of the embedded store. */
export function databaseFile({ dataDirectory }: Settings): string {
  return join(dataDirectory, 'nango.db');
}

/** Returns the provider that a setting names; undefined = the embedded store's own key file. */
function configuredProvider({
  encryptionKey,
  encryptionKeyFile,
  encryptionKeyCommand,
}: Settings): KeyProvider | undefined {
  const configured = [
    encryptionKey === undefined ? undefined : environmentKeys('NANGO_ENCRYPTION_KEY', encryptionKey),
    encryptionKeyFile === undefined ? undefined : fileKeys(encryptionKeyFile),
    encryptionKeyCommand === undefined ? undefined : commandKeys(encryptionKeyCommand),
  ].filter((provider) => provider !== undefined);
  if (configured.length > 1)
    throw new NangoError(
      'invalid_setting',
      `The encryption key is set more than once: ${configured.map(({ source }) => source).join(' and ')}. Keep one.`,
    );
  return configured[0];
}

function assertEncryptionKeySet(configured: KeyProvider | undefined): void {
  if (configured === undefined)
    throw new NangoError(
      'missing_setting',
      'DATABASE_URL is set, so NANGO_ENCRYPTION_KEY must be set too (or …_FILE, …_COMMAND): 32 random bytes, ' +
        'the same for all servers. Make a key with: openssl rand -base64 32',
    );
}

function assertSecretKeySet({ databaseUrl, secretKey }: Settings): void {
  if (databaseUrl !== undefined && secretKey === undefined)
    throw new NangoError(
      'missing_setting',
      'DATABASE_URL is set, so NANGO_SECRET_KEY must be set too: the key that your back end sends. ' +
        'Make a key with: openssl rand -base64 32',
    );
}

function splitSecretKeys(text: string): readonly Secret<string>[] {
  return text.split(',').map((key) => new Secret(key.trim()));
}

function assertSecretKeys(
  keys: readonly Secret<string>[],
  { notices, isPublic }: { notices: string[]; isPublic: boolean },
): void {
  if (!keys.every((key) => key.map(isSecretKey).reveal()))
    throw new NangoError(
      'invalid_setting',
      `NANGO_SECRET_KEY must have at most ${MAX_SECRET_KEY_LENGTH} ${SECRET_KEY_CHARACTERS}; ` +
        'several keys are separated by commas.',
    );
  if (keys.every((key) => key.map(({ length }) => length >= MIN_SECRET_KEY_LENGTH).reveal())) return;
  const message =
    `NANGO_SECRET_KEY has fewer than ${MIN_SECRET_KEY_LENGTH} characters and can be guessed. ` +
    'Make a longer key with: openssl rand -base64 32';
  // A short key is sufficient on a developer's own machine.
  if (isPublic) throw new NangoError('invalid_setting', message);
  notices.push(message);
}

function embeddedKeys(
  settings: Settings,
  { notices, missing }: { notices: string[]; missing: 'refuse' | 'temporary' | 'create' },
): KeyProvider {
  const path = join(settings.dataDirectory, 'encryption.key');
  const mustExist = missing === 'refuse' || existsSync(databaseFile(settings));
  if (missing === 'temporary' && !mustExist && !existsSync(path))
    return { source: 'a temporary key', read: async () => new Secret(randomBytes(32).toString('base64')) };
  return {
    source: path,
    read: async () => {
      const file = readOrCreateKeyFile(path, { mustExist });
      const createdNotice =
        'Created an encryption key. Back it up, because stored credentials cannot be read without it:';
      addNotices(file, createdNotice, notices);
      return file.text;
    },
  };
}

function readEmbeddedSecret({ dataDirectory }: Settings, notices: string[]): Secret<string> {
  const file = readOrCreateKeyFile(join(dataDirectory, 'secret.key'), { prefix: 'nango_secret_', mustExist: false });
  addNotices(file, 'Created a secret key for your back end (NANGO_SECRET_KEY):', notices);
  return file.text;
}

function addNotices(file: ReturnType<typeof readOrCreateKeyFile>, createdNotice: string, notices: string[]): void {
  if (file.isNew) notices.push(`${createdNotice} ${file.path}`);
  if (file.isReadableByOthers)
    notices.push(`Other users of this machine can read ${file.path}. Make it private: chmod 600 ${file.path}`);
}

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { prepareDataDirectory, readOrCreateKeyFile } from '../vault/key-files.ts';
import { commandKeys, environmentKeys, fileKeys, type KeyProvider } from '../vault/key-providers.ts';
import { Secret } from '../vault/secret.ts';
import { parseEncryptionKeys } from '../vault/vault.ts';

/** The keys of a server. */
export interface Keys {
  /** The first seals. */
  readonly encryption: [Uint8Array, ...Uint8Array[]];
  /** All are valid; during a rotation there are two. */
  readonly secrets: readonly Secret<string>[];
  /** Notices for the operator. */
  readonly notices: readonly string[];
}

/** Reads the keys that the settings name. In embedded mode, the first start makes missing ones. */
export async function readKeys(settings: Settings, { isPublic }: { isPublic: boolean }): Promise<Keys> {
  const { encryption, notices } = await readEncryptionKeys(settings, 'create');
  assertSecretKeySet(settings);
  const secrets = (settings.secretKey ?? readEmbeddedSecret(settings, notices)).split(',').map((key) => key.trim());
  assertSecretKeys(secrets, { notices, isPublic });
  return { encryption, secrets: secrets.map((key) => new Secret(key)), notices };
}

/**
 * Reads only the encryption keys. If the embedded store has neither key nor database, `create` makes the key file,
 * `imagine` makes a key that is not stored, and `refuse` throws `invalid_encryption_key`.
 */
export async function readEncryptionKeys(
  settings: Settings,
  missing: 'refuse' | 'imagine' | 'create',
): Promise<{ encryption: Keys['encryption']; notices: string[] }> {
  const notices: string[] = [];
  const given = configuredProvider(settings);
  if (settings.databaseUrl !== undefined) assertEncryptionKeySet(given);
  if (missing === 'create' && settings.databaseUrl === undefined) prepareDataDirectory(settings.dataDirectory);
  const provider = given ?? embeddedKeys(settings, { notices, missing });
  return { encryption: parseEncryptionKeys(await provider.read(), provider.source), notices };
}

/** The file of the embedded store. */
export function databaseFile({ dataDirectory }: Settings): string {
  return join(dataDirectory, 'nango.db');
}

/** The provider that a setting names; undefined = the embedded store's own key file. */
function configuredProvider({
  encryptionKey,
  encryptionKeyFile,
  encryptionKeyCommand,
}: Settings): KeyProvider | undefined {
  const given = [
    encryptionKey === undefined ? undefined : environmentKeys('NANGO_ENCRYPTION_KEY', encryptionKey),
    encryptionKeyFile === undefined ? undefined : fileKeys(encryptionKeyFile),
    encryptionKeyCommand === undefined ? undefined : commandKeys(encryptionKeyCommand),
  ].filter((provider) => provider !== undefined);
  if (given.length > 1)
    throw new NangoError(
      'invalid_setting',
      `The encryption key is set more than once: ${given.map(({ source }) => source).join(' and ')}. Keep one.`,
    );
  return given[0];
}

function assertEncryptionKeySet(given: KeyProvider | undefined): void {
  if (given === undefined)
    throw new NangoError(
      'missing_setting',
      'DATABASE_URL is set, so NANGO_ENCRYPTION_KEY must be set too (or …_FILE, …_COMMAND): 32 random bytes, the same for all servers. Make them with: openssl rand -base64 32',
    );
}

function assertSecretKeySet({ databaseUrl, secretKey }: Settings): void {
  if (databaseUrl !== undefined && secretKey === undefined)
    throw new NangoError(
      'missing_setting',
      'DATABASE_URL is set, so NANGO_SECRET_KEY must be set too: the key that your back end sends. Make one with: openssl rand -base64 32',
    );
}

// A shorter key could be guessed by requests.
const SHORT_KEY = 20;

function assertSecretKeys(
  keys: readonly string[],
  { notices, isPublic }: { notices: string[]; isPublic: boolean },
): void {
  if (keys.some((key) => !/^[\w.~+/=-]{1,256}$/.test(key)))
    throw new NangoError(
      'invalid_setting',
      'NANGO_SECRET_KEY must have at most 256 letters, digits or "-._~+/="; several keys are separated by commas.',
    );
  if (!keys.some((key) => key.length < SHORT_KEY)) return;
  const short = `NANGO_SECRET_KEY has fewer than ${SHORT_KEY} characters and can be guessed. Make a longer one with: openssl rand -base64 32`;
  // The rule of secret_keys in nango-config.yaml. On a developer's own machine a short key is sufficient.
  if (isPublic) throw new NangoError('invalid_setting', short);
  notices.push(short);
}

function embeddedKeys(
  settings: Settings,
  { notices, missing }: { notices: string[]; missing: 'refuse' | 'imagine' | 'create' },
): KeyProvider {
  const path = join(settings.dataDirectory, 'encryption.key');
  const mustExist = missing === 'refuse' || existsSync(databaseFile(settings));
  if (missing === 'imagine' && !mustExist && !existsSync(path))
    return { source: 'a key for this run', read: async () => new Secret(randomBytes(32).toString('base64')) };
  return {
    source: path,
    read: async () => {
      const file = readOrCreateKeyFile(path, { mustExist });
      const made = 'Made an encryption key. Back it up: without it, no stored credential can be read:';
      addNotices(file, made, notices);
      return file.text;
    },
  };
}

function readEmbeddedSecret({ dataDirectory }: Settings, notices: string[]): string {
  const file = readOrCreateKeyFile(join(dataDirectory, 'secret.key'), { prefix: 'nango_secret_', mustExist: false });
  addNotices(file, 'Made a secret key for your back end (NANGO_SECRET_KEY):', notices);
  return file.text.reveal();
}

function addNotices(file: ReturnType<typeof readOrCreateKeyFile>, made: string, notices: string[]): void {
  if (file.isNew) notices.push(`${made} ${file.path}`);
  if (file.isReadableByOthers)
    notices.push(`Other users of this machine can read ${file.path}. Make it private: chmod 600 ${file.path}`);
}

import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { NangoError } from '../errors/nango-error.ts';
import { Secret } from './secret.ts';

/** A key that was read from a file, or made there. */
export interface KeyFile {
  readonly text: Secret<string>;
  readonly path: string;
  /** Whether this call made it. */
  readonly created: boolean;
  /** Whether others on this machine can read it. */
  readonly exposed: boolean;
}

/**
 * Reads a key file of the data directory, or makes one that only its owner can read. With `mustExist`, a missing file
 * is an error: a new key would not open the existing data.
 */
export function readOrCreateKeyFile(
  path: string,
  { prefix = '', mustExist }: { prefix?: string; mustExist: boolean },
): KeyFile {
  if (existsSync(path)) return { text: readKey(path), path, created: false, exposed: isExposed(path) };
  if (mustExist) {
    throw new NangoError(
      'invalid_encryption_key',
      `The key file ${path} of this database is missing. Restore it from your backup, or set NANGO_ENCRYPTION_KEY.`,
    );
  }
  prepareDataDirectory(dirname(path));
  const text = new Secret(`${prefix}${randomBytes(32).toString(prefix === '' ? 'base64' : 'base64url')}`);
  const created = createDurably(path, `${text.reveal()}\n`);
  return { text: created ? text : readKey(path), path, created, exposed: false };
}

function readKey(path: string): Secret<string> {
  return new Secret(readFileSync(path, 'utf8').trim());
}

/** Puts a new key before those in a key file. Throws `file_not_found` if there is no such file. */
export function prependKey(path: string): void {
  if (!existsSync(path))
    throw new NangoError('file_not_found', `There is no key file ${path}; the first start of a server makes it.`);
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const content = `${randomBytes(32).toString('base64')}\n${readFileSync(path, 'utf8')}`;
  createDurably(draft, content);
  renameSync(draft, path);
}

/**
 * Writes a file completely or not at all, even after a power failure. Returns false if another server made it first.
 */
function createDurably(path: string, content: string): boolean {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(file, content);
    fsyncSync(file);
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    closeSync(file);
    rmSync(draft);
  }
}

/** Makes the data directory, private to its owner and ignored by git, because it holds keys. */
export function prepareDataDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const ignore = join(path, '.gitignore');
  if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
}

function isExposed(path: string): boolean {
  return process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0;
}

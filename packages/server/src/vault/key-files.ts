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

/** A key that was read from a file, or created in it. */
export interface KeyFile {
  readonly text: Secret<string>;
  readonly path: string;
  /** Whether this call created the file. */
  readonly isNew: boolean;
  /** Whether other users of this machine can read the file. */
  readonly isReadableByOthers: boolean;
}

/**
 * Reads a key file of the data directory, or creates one that only its owner can read. With `mustExist`, a missing file
 * is an error, because a new key would not open the existing data. Throws `invalid_encryption_key`.
 */
export function readOrCreateKeyFile(
  path: string,
  { prefix = '', mustExist }: { prefix?: string; mustExist: boolean },
): KeyFile {
  if (existsSync(path)) return { text: readKey(path), path, isNew: false, isReadableByOthers: canOthersRead(path) };
  if (mustExist) {
    throw new NangoError(
      'invalid_encryption_key',
      `The key file ${path} of this database is missing. Restore it from your backup, or set NANGO_ENCRYPTION_KEY.`,
    );
  }
  prepareDataDirectory(dirname(path));
  const text = new Secret(`${prefix}${randomBytes(32).toString(prefix === '' ? 'base64' : 'base64url')}`);
  const isNew = createDurably(path, `${text.reveal()}\n`);
  return { text: isNew ? text : readKey(path), path, isNew, isReadableByOthers: false };
}

function readKey(path: string): Secret<string> {
  return new Secret(readFileSync(path, 'utf8').trim());
}

/** Puts a new key in front of the keys in a key file. Throws `file_not_found` if the file does not exist. */
export function prependKey(path: string): void {
  if (!existsSync(path))
    throw new NangoError(
      'file_not_found',
      `The key file ${path} does not exist. Start a server first; it creates the file.`,
    );
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const content = `${randomBytes(32).toString('base64')}\n${readFileSync(path, 'utf8')}`;
  createDurably(draft, content);
  renameSync(draft, path);
}

/**
 * Writes a file completely or not at all, even if the power fails. Returns false if another server created it first.
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

/** Creates the data directory. It is private to its owner and ignored by git, because it holds keys. */
export function prepareDataDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const ignore = join(path, '.gitignore');
  if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
}

function canOthersRead(path: string): boolean {
  return process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0;
}

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { NangoError } from '../errors/nango-error.ts';

/** A key read from a file, or made there. */
export interface KeyFile {
  readonly text: string;
  readonly path: string;
  /** Whether this call made it. */
  readonly created: boolean;
  /** Whether others on this machine can read it. */
  readonly exposed: boolean;
}

/**
 * Reads a key file of the data directory; makes it, readable by its owner alone, where there is none.
 * With `mustExist`, a missing file is an error: what it protects is there, and a new key would not open it.
 */
export function readOrCreateKeyFile(
  path: string,
  { prefix = '', mustExist }: { prefix?: string; mustExist: boolean },
): KeyFile {
  if (existsSync(path))
    return { text: readFileSync(path, 'utf8').trim(), path, created: false, exposed: isExposed(path) };
  if (mustExist) {
    throw new NangoError(
      'invalid_encryption_key',
      `The database exists but its key file ${path} is missing. Restore the key file from your backup, or set NANGO_ENCRYPTION_KEY.`,
    );
  }
  prepareDataDirectory(dirname(path));
  const text = `${prefix}${randomBytes(32).toString(prefix === '' ? 'base64' : 'base64url')}`;
  // "wx" fails rather than overwrite: of two servers starting at once, one makes the key and the other stops.
  const file = openSync(path, 'wx', 0o600);
  writeFileSync(file, `${text}\n`);
  closeSync(file);
  return { text, path, created: true, exposed: false };
}

/** Makes the data directory, private to its owner and invisible to git: it holds keys. */
export function prepareDataDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const ignore = join(path, '.gitignore');
  if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
}

function isExposed(path: string): boolean {
  return process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0;
}

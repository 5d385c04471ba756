import { exec } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { Secret } from './secret.ts';

const COMMAND_TIMEOUT_MS = 30_000;
const COMMAND_MAX_BYTES = 65_536;

/**
 * Where encryption keys come from, at each start. With a key management service this is envelope encryption: the key
 * that seals is stored wrapped by one that never leaves the service, and the provider has it unwrapped.
 */
export interface KeyProvider {
  /** The source, for people; never a key. */
  readonly source: string;
  /** One or more keys, separated by commas or white space; the first seals. */
  read(): Promise<Secret<string>>;
}

/** Keys in an environment variable. */
export function environmentKeys(name: string, value: string): KeyProvider {
  return { source: name, read: async () => new Secret(value) };
}

/**
 * Keys in a file that is provided from outside, such as a mounted secret. Throws `encryption_key_unavailable` if it
 * cannot be read.
 */
export function fileKeys(path: string): KeyProvider {
  return {
    source: path,
    read: () =>
      readFile(path, 'utf8').then(
        (text) => new Secret(text),
        (cause: unknown) => {
          throw new NangoError(
            'encryption_key_unavailable',
            `The encryption key cannot be read: ${messageOf(cause)}.`,
            { cause },
          );
        },
      ),
  };
}

/**
 * Keys that a shell command prints, such as one that asks a key management service to unwrap them. Throws
 * `encryption_key_unavailable` with its stderr. Its stdout is never shown.
 */
export function commandKeys(command: string): KeyProvider {
  const source = 'NANGO_ENCRYPTION_KEY_COMMAND';
  return {
    source,
    read: () =>
      new Promise((resolve, reject) => {
        const options = { timeout: COMMAND_TIMEOUT_MS, maxBuffer: COMMAND_MAX_BYTES };
        exec(command, options, (error, stdout, stderr) => {
          if (!error) return resolve(new Secret(stdout));
          const why = error.killed ? 'it did not end in time' : stderr.trim().slice(0, 500) || 'it printed no reason';
          reject(
            new NangoError(
              'encryption_key_unavailable',
              `${source} failed (exit code ${error.code ?? 'none'}): ${why}`,
            ),
          );
        });
      }),
  };
}

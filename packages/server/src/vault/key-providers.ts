import { exec } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { Secret } from './secret.ts';

const COMMAND_TIMEOUT_MS = 30_000;
const COMMAND_MAX_BYTES = 65_536;

/**
 * Provides the encryption keys at each start. With a key management service, this is envelope encryption: the stored
 * key is wrapped by a key that never leaves the service, and the provider has the service unwrap it.
 */
export interface KeyProvider {
  /** The name of the source, for people; never a key. */
  readonly source: string;
  /** Reads one or more keys, separated by commas or white space. The first key seals. */
  read(): Promise<Secret<string>>;
}

/** Provides keys of an environment variable. */
export function environmentKeys(name: string, value: Secret<string>): KeyProvider {
  return { source: name, read: async () => value };
}

/**
 * Provides keys of a file, such as a mounted secret. Throws `encryption_key_unavailable` if the file cannot be read.
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
 * Provides keys that a shell command prints, such as a client of a key management service. If the command fails, throws
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
          const why = error.killed
            ? `it did not end within ${COMMAND_TIMEOUT_MS / 1000} seconds`
            : stderr.trim().slice(0, 500) || 'it printed nothing to stderr';
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

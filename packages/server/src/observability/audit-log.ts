import { mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { WriteLine } from './log.ts';
import { LineFile } from './line-file.ts';
import type { NameUser } from './user-ids.ts';

/** Who did what to which connection, and the result. */
export interface AuditEntry {
  /** Such as `connection.delete`. */
  readonly action: string;
  /** Name of a secret key, or `page` for a user's browser; undefined without authentication. */
  readonly actor: string | undefined;
  readonly integration: string | undefined;
  readonly userId: string | undefined;
  /** Undefined if the request named none. */
  readonly account?: string | undefined;
  /** The connection's id, if the request named the connection by it. */
  readonly connection?: string | undefined;
  /** The HTTP status of the response. */
  readonly status: number;
  readonly requestId: string;
  /** The client's address. */
  readonly address: string;
}

/** Where the audit log is written. */
export interface AuditLogOptions {
  /** Writes to the log, whatever its level. */
  readonly writeLine: WriteLine;
  /** Called when the file cannot be written. */
  readonly log: { error(fields: object, message: string): void };
  readonly file: string | undefined;
  readonly folder: string;
  readonly nameUser: NameUser;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

type FileOptions = Pick<AuditLogOptions, 'log' | 'now'>;

/** Writes the audit log, whatever the log's level. */
export class AuditLog {
  readonly #write: (fields: object, message: string) => void;
  readonly #nameUser: NameUser;
  #file: LineFile | undefined;

  /** `file` is relative to `folder`. Without a file, entries are written to the log. */
  constructor({ writeLine, file, folder, nameUser, ...options }: AuditLogOptions) {
    this.#nameUser = nameUser;
    this.#write =
      file === undefined
        ? (fields, msg) => writeLine((time) => ({ level: 'info', time, log: 'audit', ...fields, msg }))
        : this.#toFile(resolve(folder, file), options);
  }

  close(): void {
    this.#file?.close();
  }

  #toFile(path: string, options: FileOptions): (fields: object, message: string) => void {
    const file = (this.#file = openFile(path, options));
    return (fields, message) => file.write(toLine(fields, message, options.now()));
  }

  record({ userId, ...entry }: AuditEntry): void {
    this.#write({ ...entry, userId: userId === undefined ? undefined : this.#nameUser(userId) }, 'audit');
  }
}

/**
 * Opens the file, which only its owner can read. An entry is written before the response. If that fails, the entry
 * waits, and the request continues, because its change is already made. If too many wait, the file says how many are
 * missing.
 */
function openFile(path: string, { log, now }: FileOptions): LineFile {
  mkdirSync(dirname(path), { recursive: true });
  return new LineFile({
    fd: openSync(path, 'a', 0o600),
    gap: (entries) => toLine({ entries }, 'audit entries are missing here', now()),
    immediate: true,
    onTrouble: (trouble) =>
      'error' in trouble
        ? log.error({ err: trouble.error, file: path }, 'the audit log cannot be written; its entries wait')
        : log.error({ entries: trouble.lost, file: path }, 'audit entries were lost: too many waited'),
  });
}

function toLine(fields: object, message: string, now: number): string {
  return `${JSON.stringify({ level: 'info', time: new Date(now).toISOString(), ...fields, msg: message })}\n`;
}

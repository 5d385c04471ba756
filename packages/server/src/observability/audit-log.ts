import { mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { WriteLine } from './log.ts';
import { LineFile } from './line-file.ts';
import type { NameUser } from './user-ids.ts';

/** Who did what to which connection, and how it ended. */
export interface AuditEntry {
  /** Such as `connection.delete`. */
  readonly action: string;
  /** Name of a secret key, or `page` for a user's browser; undefined when nobody proved who he was. */
  readonly actor: string | undefined;
  readonly integration: string | undefined;
  readonly userId: string | undefined;
  /** The HTTP status it was answered with. */
  readonly status: number;
  readonly requestId: string;
  /** The peer's address. */
  readonly address: string;
}

export interface AuditLogOptions {
  /** Of the log, whatever its level. */
  readonly writeLine: WriteLine;
  /** Told when the file cannot be written. */
  readonly log: { error(fields: object, message: string): void };
  readonly file: string | undefined;
  readonly folder: string;
  readonly nameUser: NameUser;
}

/** Lines of the audit log, whatever level the log has. */
export class AuditLog {
  readonly #write: (fields: object, message: string) => void;
  readonly #nameUser: NameUser;
  #file: LineFile | undefined;

  /** `file` is relative to `folder`; without one entries are part of the log. */
  constructor({ writeLine, log, file, folder, nameUser }: AuditLogOptions) {
    this.#nameUser = nameUser;
    this.#write =
      file === undefined
        ? (fields, msg) => writeLine((time) => ({ level: 'info', time, log: 'audit', ...fields, msg }))
        : this.#toFile(resolve(folder, file), log);
  }

  close(): void {
    this.#file?.close();
  }

  #toFile(path: string, log: AuditLogOptions['log']): (fields: object, message: string) => void {
    const file = (this.#file = openFile(path, log));
    return (fields, message) => file.write(toLine(fields, message));
  }

  record({ userId, ...entry }: AuditEntry): void {
    this.#write({ ...entry, userId: userId === undefined ? undefined : this.#nameUser(userId) }, 'audit');
  }
}

/**
 * Readable by its owner alone. An entry is written before the response that it is about; where that fails, it waits, and
 * the request goes on: what was done is done. Entries that cannot wait any longer are counted in the file itself.
 */
function openFile(path: string, log: AuditLogOptions['log']): LineFile {
  mkdirSync(dirname(path), { recursive: true });
  return new LineFile({
    fd: openSync(path, 'a', 0o600),
    gap: (entries) => toLine({ entries }, 'audit entries are missing here'),
    immediate: true,
    onTrouble: (trouble) =>
      'error' in trouble
        ? log.error({ err: trouble.error, file: path }, 'the audit log cannot be written; its entries wait')
        : log.error({ entries: trouble.lost, file: path }, 'audit entries were lost: too many waited'),
  });
}

function toLine(fields: object, message: string): string {
  return `${JSON.stringify({ level: 'info', time: new Date().toISOString(), ...fields, msg: message })}\n`;
}

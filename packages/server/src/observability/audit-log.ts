import { resolve } from 'node:path';
import { destination, pino } from 'pino';
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

/** Lines of the audit log, whatever level the log has. */
export class AuditLog {
  readonly #write: (fields: object, message: string) => void;
  readonly #nameUser: NameUser;

  /** `file` is relative to `folder`; without one entries are part of the log. */
  constructor({
    writeLine,
    file,
    folder,
    nameUser,
  }: {
    /** Of the log, whatever its level. */
    writeLine: (fields: object, message: string) => void;
    file: string | undefined;
    folder: string;
    nameUser: NameUser;
  }) {
    this.#nameUser = nameUser;
    this.#write =
      file === undefined
        ? (fields, message) => writeLine({ log: 'audit', ...fields }, message)
        : openFile(resolve(folder, file));
  }

  record({ userId, ...entry }: AuditEntry): void {
    this.#write({ ...entry, userId: userId === undefined ? undefined : this.#nameUser(userId) }, 'audit');
  }
}

/** Written before the answer that it tells of is, and readable by its owner alone. */
function openFile(path: string): (fields: object, message: string) => void {
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    destination({ dest: path, append: true, sync: true, mode: 0o600, mkdir: true }),
  );
  return (fields, message) => log.info(fields, message);
}

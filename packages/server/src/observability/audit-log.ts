import { resolve } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
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
  readonly #log: Pick<FastifyBaseLogger, 'info'>;
  readonly #nameUser: NameUser;

  /** `file` is relative to `folder`; without one entries are part of the log. */
  constructor({
    log,
    file,
    folder,
    nameUser,
  }: {
    log: FastifyBaseLogger;
    file: string | undefined;
    folder: string;
    nameUser: NameUser;
  }) {
    this.#nameUser = nameUser;
    this.#log = file === undefined ? log.child({ log: 'audit' }, { level: 'info' }) : openFile(resolve(folder, file));
  }

  record({ userId, ...entry }: AuditEntry): void {
    this.#log.info({ ...entry, userId: userId === undefined ? undefined : this.#nameUser(userId) }, 'audit');
  }
}

/** Written before the answer that it tells of is, and readable by its owner alone. */
function openFile(path: string): Pick<FastifyBaseLogger, 'info'> {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    destination({ dest: path, append: true, sync: true, mode: 0o600, mkdir: true }),
  );
}

import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { Kysely, sql, SqliteDialect, type SqliteDatabase } from 'kysely';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import type { ChangeListener, ConnectionWatch } from './connection-watch.ts';
import type { Database, DatabaseDialect } from './database.ts';
import { createKyselyStore } from './kysely-store.ts';
import type { Store } from './store.ts';

// The server serves no requests while the database opens, so opening may block.
const OPEN_TIMEOUT_MS = 5_000;
const SQLITE_BUSY = 5;
// SQLite's own errors, and those of a closed database.
const DRIVER_CODES: ReadonlySet<unknown> = new Set(['ERR_SQLITE_ERROR', 'ERR_INVALID_STATE']);
// A check takes microseconds, which matter for a proxied request. Changes by another process must be noticed within
// two seconds.
const CHECK_INTERVAL_MS = 50;
const MAX_CACHED_STATEMENTS = 100;

/**
 * Opens the embedded store: one SQLite file that only its owner can read. With WAL and synchronous=FULL, a committed
 * transaction survives a power failure. `now` is the store's clock, in milliseconds since the epoch.
 */
// oxlint-disable-next-line no-restricted-properties -- The default is the machine's clock, as it is for PostgreSQL.
export function openSqliteStore(path: string, now: () => number = Date.now): Store {
  try {
    return openDatabase(openFile(path), `SQLite, ${path}`, now);
  } catch (cause) {
    throw new NangoError('store_unavailable', `The database file ${path} cannot be opened: ${messageOf(cause)}.`, {
      cause,
    });
  }
}

/** Opens an empty store that exists until it is closed. */
export function openMemoryStore(now: () => number): Store {
  return openDatabase(new DatabaseSync(':memory:'), 'SQLite, in memory', now);
}

function openDatabase(database: DatabaseSync, description: string, now: () => number): Store {
  database.function('now_ms', () => Math.floor(now()));
  const dialect: DatabaseDialect = {
    description,
    isEmbedded: true,
    byteOrder: '',
    bytesType: 'blob',
    identityType: 'integer primary key autoincrement',
    hasTable: (name) => sql`exists(select 1 from sqlite_schema where type = 'table' and name = ${name})`,
    locksReads: false,
    watch: (listener) => watchFile(database, listener),
    now: () => sql<number>`now_ms()`,
    beginExclusive: ['begin immediate'],
    isDriverError: (error) => error instanceof Error && 'code' in error && DRIVER_CODES.has(error.code),
    isLocked: (error) => error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY,
  };
  const db = new Kysely<Database>({ dialect: new SqliteDialect({ database: toKyselyDatabase(database) }) });
  return createKyselyStore(db, dialect);
}

function openFile(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // SQLite creates -wal and -shm with the mode of the main file, so the main file is created first.
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  else chmodSync(path, 0o600);
  const database = new DatabaseSync(path, { timeout: OPEN_TIMEOUT_MS });
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off');
  // SQLite would block the whole process while it waits for a lock. The store waits without blocking.
  database.exec('pragma busy_timeout = 0');
  return database;
}

/** Watches SQLite's data version, which changes with each commit of another program. */
function watchFile(database: DatabaseSync, listener: ChangeListener): ConnectionWatch {
  const statement = database.prepare('pragma data_version');
  const version = () => statement.get()?.['data_version'];
  let lastVersion = version();
  let confirmedAt = 0;
  return {
    confirmedAt() {
      const now = performance.now();
      if (now - confirmedAt < CHECK_INTERVAL_MS) return confirmedAt;
      try {
        const current = version();
        if (current !== lastVersion) listener();
        lastVersion = current;
        confirmedAt = now;
      } catch {
        // The file cannot be read now, so changes are confirmed only until the last check.
      }
      return confirmedAt;
    },
    close: async () => undefined,
  };
}

const NO_OPERATION: ReturnType<SqliteDatabase['prepare']> = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [][Symbol.iterator](),
};

type PreparedStatement = ReturnType<SqliteDatabase['prepare']>;

/**
 * Implements the part of better-sqlite3's interface that Kysely's dialect uses, with Node's built-in SQLite. Statements
 * are cached, because preparing a statement costs as much as running it.
 */
function toKyselyDatabase(database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, PreparedStatement>();
  return {
    close: () => database.close(),
    prepare(text) {
      // On a full disk, SQLite ends the transaction itself. A failing rollback would hide the reason.
      if (text === 'rollback' && !database.isTransaction) return NO_OPERATION;
      const cached = statements.get(text);
      if (cached) return cached;
      const prepared = prepare(database, text);
      // Only recurring statements are cached: lists of values and migrations have ever new texts.
      if (/^(select|update|begin|commit|rollback)/.test(text)) statements.set(text, prepared);
      const [oldest] = statements.keys();
      if (statements.size > MAX_CACHED_STATEMENTS && oldest !== undefined) statements.delete(oldest);
      return prepared;
    },
  };
}

function prepare(database: DatabaseSync, text: string): PreparedStatement {
  const statement = database.prepare(text);
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...toInput(parameters)),
    run: (parameters) => statement.run(...toInput(parameters)),
    // An iteration needs its own statement: another call would restart the shared one.
    iterate: (parameters) => database.prepare(text).iterate(...toInput(parameters)),
  };
}

function toInput(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters.map((value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number' || value instanceof Uint8Array)
      return value;
    throw new TypeError(`A value of type ${typeof value} cannot be stored.`);
  });
}

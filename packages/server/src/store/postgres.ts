import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import type { Database, DatabaseDialect } from './database.ts';
import { createKyselyStore } from './kysely-store.ts';
import { CHANGES_CHANNEL, listenForChanges } from './postgres-changes.ts';
import type { Store } from './store.ts';
import type { Secret } from '../vault/secret.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
// An arbitrary number that identifies our migration lock among the database's advisory locks.
const MIGRATION_LOCK = 7_301_944_120;

/** Options of a store on PostgreSQL. */
export interface PostgresOptions {
  /** Called when an idle connection breaks. The pool replaces it. */
  readonly onError?: (error: Error) => void;
}

/** Opens a store on PostgreSQL, shared by any number of servers. Connects with the first query. */
export function openPostgresStore(databaseUrl: Secret<string>, { onError }: PostgresOptions = {}): Store {
  const pool = new pg.Pool({
    connectionString: databaseUrl.reveal(),
    max: 10,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    application_name: 'nango',
    types: numericBigints(),
  });
  // Without listeners, a broken connection would end the process. The pool reports idle connections. A connection in
  // use reports itself.
  pool.on('error', (error) => onError?.(error));
  pool.on('connect', (client) => client.on('error', () => undefined));
  const dialect: DatabaseDialect = {
    isEmbedded: false,
    description: `PostgreSQL, ${databaseUrl.map(describeServer).reveal()}`,
    byteOrder: 'collate "C"',
    bytesType: 'bytea',
    identityType: 'bigint generated always as identity primary key',
    hasTable: (name) => sql`to_regclass(${name}) is not null`,
    locksReads: true,
    // Each server of an earlier release always has a session of this name.
    earlierServers: () =>
      sql<{
        name: string;
      }>`select 'a server of an earlier release at ' || coalesce(host(client_addr), 'this host') as name
        from pg_stat_activity where datname = current_database() and application_name = 'nango changes'`,
    announce: (uuid) => sql`select pg_notify(${CHANGES_CHANNEL}, ${uuid})`,
    watch: (listener) => listenForChanges({ databaseUrl, ...(onError ? { onError } : {}) }, listener),
    now: () => sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`,
    beginExclusive: ['begin', `select pg_advisory_xact_lock(${MIGRATION_LOCK})`],
    isDriverError,
  };
  return createKyselyStore(new Kysely<Database>({ dialect: new PostgresDialect({ pool }) }), dialect);
}

/** PostgreSQL, sockets and TLS give their errors a code. pg reports a broken connection as a plain Error. */
function isDriverError(error: unknown): boolean {
  return error instanceof Error && ('code' in error || Object.getPrototypeOf(error) === Error.prototype);
}

/** Reads bigint columns as numbers, because they hold times and versions. pg would return text. */
function numericBigints(): pg.TypeOverrides {
  const types = new pg.TypeOverrides();
  types.setTypeParser(pg.types.builtins.INT8, Number);
  return types;
}

function describeServer(connectionString: string): string {
  const url = URL.parse(connectionString);
  return url ? `${url.host}${url.pathname}` : 'the server of the connection string';
}

import { setTimeout as delay } from 'node:timers/promises';
import { sql, type Kysely } from 'kysely';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { attemptStatements } from './statements/attempt-statements.ts';
import { connectionStatements } from './statements/connection-statements.ts';
import { ConnectionChanges } from './connection-changes.ts';
import type { ChangeListener, ConnectionWatch } from './connection-watch.ts';
import type { Database, DatabaseDialect } from './database.ts';
import { deliveryStatements } from './statements/delivery-statements.ts';
import { eventStatements } from './statements/event-statements.ts';
import { finishMigration, migrate, schemaState } from './migrate.ts';
import { refreshStatements } from './statements/refresh-statements.ts';
import { registrationStatements } from './statements/registration-statements.ts';
import { sealedStatements } from './statements/sealed-statements.ts';
import { serverStatements } from './statements/server-statements.ts';
import { sessionStatements } from './statements/session-statements.ts';
import type { Store } from './store.ts';
import { transferStatements } from './statements/transfer-statements.ts';

const KEY_CHECK = 'key_check';
// Servers that share a file wait for each other for milliseconds. A longer wait means that another program hangs.
const LOCK_PATIENCE_MS = 3_000;
const MAX_LOCK_PAUSE_MS = 25;

/** Creates a store over Kysely. Both databases share every statement. */
export function createKyselyStore(db: Kysely<Database>, dialect: DatabaseDialect): Store {
  const changes = new ConnectionChanges(db, dialect);
  return withStoreErrors(dialect, {
    description: dialect.description,
    isEmbedded: dialect.isEmbedded,
    migrate: () => migrate(db, dialect),
    finishMigration: (withinMs, isGone) =>
      finishMigration(db, dialect, async (connection) =>
        (await serverStatements(connection, dialect).liveServers(withinMs)).filter(
          (server) => !server.isCurrent && !isGone(server),
        ),
      ),
    isMigrationFinished: finishedStatement(db, dialect),
    schemaState: () => schemaState(db, dialect),
    ping: async () => void (await sql`select 1`.execute(db)),
    close: () => db.destroy(),
    watchConnections: (listener) => watchConnections(listener, { changes, dialect }),
    ...keyCheckStatements(db),
    ...connectionStatements(db, dialect, changes),
    ...refreshStatements(db, dialect.now, changes),
    ...attemptStatements(db, dialect.now, changes),
    ...eventStatements(db, dialect.now),
    ...deliveryStatements(db, dialect.now),
    ...sessionStatements(db),
    ...serverStatements(db, dialect),
    ...registrationStatements(db),
    ...sealedStatements(db),
    ...transferStatements(dialect.now, changes),
  });
}

/** A finished migration stays so, and is not asked for again. */
function finishedStatement(db: Kysely<Database>, dialect: DatabaseDialect): () => Promise<boolean> {
  let isFinished = false;
  return async () => (isFinished ||= (await schemaState(db, dialect)) === 'current');
}

/** Reports changes by this server at once, and changes by others when the database reports them. */
function watchConnections(
  listener: ChangeListener,
  { changes, dialect }: { changes: ConnectionChanges; dialect: DatabaseDialect },
): ConnectionWatch {
  const watch = dialect.watch(listener);
  const unlisten = changes.listen(listener);
  return {
    confirmedAt: () => watch.confirmedAt(),
    close: () => {
      unlisten();
      return watch.close();
    },
  };
}

function keyCheckStatements(db: Kysely<Database>): Pick<Store, 'keyCheck' | 'storedKeyCheck'> {
  const stored = db.selectFrom('nango_meta').select('value').where('name', '=', KEY_CHECK);
  return {
    storedKeyCheck: async () => (await stored.executeTakeFirst())?.value,
    async keyCheck(candidate) {
      await db
        .insertInto('nango_meta')
        .values({ name: KEY_CHECK, value: candidate })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute();
      return (await stored.executeTakeFirstOrThrow()).value;
    },
  };
}

/**
 * Turns every error of a database driver into `store_unavailable`, with the driver's error as cause. Other errors are
 * defects and stay as they are. If another process holds a lock, the statement is tried again for three seconds.
 */
function withStoreErrors({ isDriverError, isLocked = () => false }: DatabaseDialect, store: Store): Store {
  return new Proxy(store, {
    get(target, property, receiver) {
      const member: unknown = Reflect.get(target, property, receiver);
      if (typeof member !== 'function' || property === 'watchConnections') return member;
      return async (...parameters: unknown[]): Promise<unknown> => {
        const deadline = performance.now() + LOCK_PATIENCE_MS;
        for (;;) {
          try {
            return await Reflect.apply(member, target, parameters);
          } catch (error) {
            if (error instanceof NangoError || !isDriverError(error)) throw error;
            if (!isLocked(error)) throw storeUnavailable(target, error);
            if (performance.now() >= deadline) throw databaseLocked(target, error);
            // oxlint-disable-next-line no-restricted-properties -- Only spreads the processes that wait for a lock.
            await delay(MAX_LOCK_PAUSE_MS * Math.random());
          }
        }
      };
    },
  });
}

function databaseLocked({ description }: Store, cause: unknown): NangoError {
  return new NangoError(
    'store_unavailable',
    `Another process holds the lock of the database (${description}). ` +
      'End that process: a backup tool, a database browser, or a server that hangs.',
    { cause, retryAfter: 1 },
  );
}

function storeUnavailable({ description }: Store, cause: unknown): NangoError {
  // A driver's message names the statement and the host, but never a bound value.
  return new NangoError(
    'store_unavailable',
    `The database (${description}) cannot be reached or written: ${messageOf(cause) || 'no connection'}. ` +
      'Check that it runs and that this server may connect.',
    { cause, retryAfter: 1 },
  );
}

import { randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import type { ChangeListener } from './connection-watch.ts';
import type { Database, DatabaseDialect } from './database.ts';
import type { EventType } from '../event-types.ts';
import type { ConnectionKey, ConnectionRow } from './store.ts';

/** Records a change of a connection, and events about it, in the transaction of the change. */
export type RecordChange = (types: readonly EventType[], row: ConnectionRow, details: EventDetails) => Promise<void>;

/** A locked connection: whether something is wrong with it, and whose it is. */
export interface LockedConnection {
  readonly uuid: string;
  readonly status: ConnectionRow['status'];
  readonly refresh_failures: number;
  readonly identity_user: string | null;
  readonly identity_workspace: string | null;
  readonly identity_name: string | null;
}

interface EventDetails {
  readonly now: number;
  /** The error of a refresh. */
  readonly error?: string;
}

/**
 * Runs changes of connections in transactions that also write the events and the notification of other servers. Then it
 * notifies this server's listeners. Every statement that changes what readers see must use it.
 */
export class ConnectionChanges {
  readonly #db: Kysely<Database>;
  readonly #dialect: DatabaseDialect;
  readonly #listeners = new Set<ChangeListener>();

  constructor(db: Kysely<Database>, dialect: DatabaseDialect) {
    this.#db = db;
    this.#dialect = dialect;
  }

  /** Prevents other changes of a connection until the transaction ends. Resolves to its state, if it exists. */
  lock(
    transaction: Kysely<Database>,
    { integration, userId, account }: ConnectionKey,
  ): Promise<LockedConnection | undefined> {
    const isThis = sql<boolean>`integration = ${integration} and user_id = ${userId} and account = ${account}`;
    const state = [
      'uuid',
      'status',
      'refresh_failures',
      'identity_user',
      'identity_workspace',
      'identity_name',
    ] as const;
    if (this.#dialect.locksReads)
      return transaction.selectFrom('connections').select(state).where(isThis).forUpdate().executeTakeFirst();
    // SQLite locks with a write that changes nothing: a transaction that began with a read may be unable to write.
    return transaction
      .updateTable('connections')
      .set((eb) => ({ updated_at: eb.ref('updated_at') }))
      .where(isThis)
      .returning(state)
      .executeTakeFirst();
  }

  async run<T>(change: (transaction: Kysely<Database>, recordChange: RecordChange) => Promise<T>): Promise<T> {
    const changedIds: string[] = [];
    const result = await this.#db.transaction().execute((transaction) =>
      change(transaction, async (types, row, details) => {
        changedIds.push(row.id);
        if (types.length > 0) await insertEvents(transaction, { types, row, details });
        const announcement = this.#dialect.announce?.(row.id);
        if (announcement) await announcement.execute(transaction);
      }),
    );
    for (const id of changedIds) for (const listener of this.#listeners) listener(id);
    return result;
  }

  /** Adds a listener. Returns a function that removes it. */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

async function insertEvents(
  db: Kysely<Database>,
  { types, row, details: { now, error } }: { types: readonly EventType[]; row: ConnectionRow; details: EventDetails },
): Promise<void> {
  const { id, integration, userId, account, identity, tags, authMode, status, statusReason } = row;
  const data = JSON.stringify({
    id,
    // The name of earlier releases.
    uuid: id,
    integration,
    userId,
    account,
    identity,
    tags: JSON.parse(tags) as unknown,
    authMode,
    status,
    statusReason,
    ...(error === undefined ? {} : { error }),
  });
  const values = types.map((type) => ({ id: `evt_${randomUUID()}`, type, connection: id, data, created_at: now }));
  await db.insertInto('events').values(values).execute();
}

import { sql, type Kysely, type Selectable } from 'kysely';
import type { Database, DatabaseDialect } from '../database.ts';
import type { EventRow, EventStore } from '../event-store.ts';

type EventStatements = Pick<EventStore, 'publishEvents' | 'listEvents' | 'prune'>;

/** Statements about events, except for their insertion, which is a part of each change. */
export function eventStatements(db: Kysely<Database>, clock: DatabaseDialect['now']): EventStatements {
  return {
    async publishEvents({ limit, webhooksOf }) {
      const unpublished = (from: Kysely<Database>) =>
        from.selectFrom('events').select(['ordinal', 'type', 'connection']).where('position', 'is', null);
      // Usually there are no unpublished events. Then nothing is written.
      if (!(await unpublished(db).limit(1).executeTakeFirst())) return 0;
      return db.transaction().execute(async (transaction) => {
        // This update locks the counter, so only one server at a time assigns positions.
        const { value } = await transaction
          .updateTable('event_counter')
          .set((eb) => ({ value: eb('value', '+', 0) }))
          .where('name', '=', 'position')
          .returning('value')
          .executeTakeFirstOrThrow();
        const events = await unpublished(transaction).orderBy('ordinal').limit(limit).execute();
        if (events.length === 0) return 0;
        const published = events.map((event, index) => ({ ...event, position: value + index + 1 }));
        await assignPositions(transaction, published);
        await transaction
          .updateTable('event_counter')
          .set({ value: value + events.length })
          .where('name', '=', 'position')
          .execute();
        const deliveries = published.flatMap(({ type, position, connection }) =>
          webhooksOf(type).map((webhook) => ({ webhook, position, connection })),
        );
        await queueDeliveries(transaction, deliveries, clock);
        return events.length;
      });
    },
    async listEvents({ after, limit }) {
      const query = db.selectFrom('events').selectAll().where('position', '>', after).orderBy('position').limit(limit);
      return (await query.execute()).map(toEventRow);
    },
    async prune({ eventsBefore, now, limit }) {
      return (
        (await pruneAttempts(db, { before: now - KEPT_AFTER_EXPIRY_MS, limit })) +
        (await pruneSessions(db, { before: now - KEPT_AFTER_EXPIRY_MS, limit })) +
        (await pruneEvents(db, { before: eventsBefore, limit }))
      );
    },
  };
}

// How long a page may read the result of an expired attempt, and a link's page says that the link has expired.
const KEPT_AFTER_EXPIRY_MS = 3_600_000;

async function assignPositions(
  db: Kysely<Database>,
  events: readonly { ordinal: number; position: number }[],
): Promise<void> {
  const values = events.map(({ ordinal, position }) => sql`(cast(${ordinal} as bigint), cast(${position} as bigint))`);
  await sql`with assigned(ordinal, position) as (values ${sql.join(values)})
    update events set position = assigned.position from assigned where events.ordinal = assigned.ordinal`.execute(db);
}

/**
 * Queues deliveries. An existing stream is touched. So a server that ends the stream's last delivery at the same time
 * waits, and then sees the new delivery.
 */
async function queueDeliveries(
  db: Kysely<Database>,
  deliveries: readonly { webhook: string; position: number; connection: string }[],
  clock: DatabaseDialect['now'],
): Promise<void> {
  if (deliveries.length === 0) return;
  await db
    .insertInto('webhook_deliveries')
    .values(deliveries.map((delivery) => ({ ...delivery, state: 'pending' as const, error: null })))
    .execute();
  const streams = new Map(
    deliveries.map(({ webhook, connection }) => [JSON.stringify([webhook, connection]), { webhook, connection }]),
  );
  // The same order on every server prevents a deadlock.
  const sorted = [...streams].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, stream]) => stream);
  await touchStreams(db, sorted, clock);
}

/** Creates connections' streams, due now, if they do not exist. */
export async function touchStreams(
  db: Kysely<Database>,
  streams: readonly { webhook: string; connection: string }[],
  clock: DatabaseDialect['now'],
): Promise<void> {
  await db
    .insertInto('webhook_streams')
    .values(streams.map((stream) => ({ ...stream, next_at: clock(), attempts: 0, claim: null })))
    .onConflict((conflict) =>
      conflict.columns(['webhook', 'connection']).doUpdateSet((eb) => ({ next_at: eb.ref('webhook_streams.next_at') })),
    )
    .execute();
}

async function pruneAttempts(db: Kysely<Database>, { before, limit }: { before: number; limit: number }) {
  const old = db.selectFrom('connect_attempts').select('attempt_hash').where('expires_at', '<', before).limit(limit);
  const { numDeletedRows } = await db
    .deleteFrom('connect_attempts')
    .where('attempt_hash', 'in', old)
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

async function pruneSessions(db: Kysely<Database>, { before, limit }: { before: number; limit: number }) {
  const old = db.selectFrom('connect_sessions').select('token_hash').where('expires_at', '<', before).limit(limit);
  const { numDeletedRows } = await db
    .deleteFrom('connect_sessions')
    .where('token_hash', 'in', old)
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

/** Removes old events with their deliveries, which are not needed longer than the events. */
async function pruneEvents(db: Kysely<Database>, { before, limit }: { before: number; limit: number }) {
  return db.transaction().execute(async (transaction) => {
    const old = transaction.selectFrom('events').select('ordinal').where('created_at', '<', before).limit(limit);
    const deleted = await transaction.deleteFrom('events').where('ordinal', 'in', old).returning('position').execute();
    const positions = deleted.map(({ position }) => position).filter((position) => position !== null);
    if (positions.length > 0)
      await transaction.deleteFrom('webhook_deliveries').where('position', 'in', positions).execute();
    return deleted.length;
  });
}

/** Turns a row of a published event into what the store returns. */
export function toEventRow(row: Omit<Selectable<Database['events']>, 'ordinal'>): EventRow {
  if (row.position === null) throw new TypeError('An event was read before it was published.');
  return {
    id: row.id,
    type: row.type,
    connection: row.connection,
    data: row.data,
    createdAt: row.created_at,
    position: row.position,
  };
}

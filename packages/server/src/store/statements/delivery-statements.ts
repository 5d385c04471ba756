import { sql, type Kysely } from 'kysely';
import type { Database, DatabaseDialect } from '../database.ts';
import { toEventRow, touchStreams } from './event-statements.ts';
import type { ClaimedDelivery, EventStore } from '../event-store.ts';

type DeliveryStatements = Pick<
  EventStore,
  'dueStreams' | 'claimDelivery' | 'endDelivery' | 'retryDelivery' | 'listDeadDeliveries' | 'replayDeliveries'
>;

const EVENT_COLUMNS = [
  'events.id',
  'events.type',
  'events.connection',
  'events.data',
  'events.created_at',
  'events.position',
] as const;

/**
 * Statements about deliveries to webhooks. A connection's events are delivered one after the other. A claim lasts
 * longer than a request may take.
 */
export function deliveryStatements(db: Kysely<Database>, clock: DatabaseDialect['now']): DeliveryStatements {
  const after = (milliseconds: number) => sql<number>`${clock()} + ${milliseconds}`;
  return {
    async dueStreams({ webhooks, limit }) {
      if (webhooks.length === 0) return [];
      return db
        .selectFrom('webhook_streams')
        .select(['webhook', 'connection'])
        .where('webhook', 'in', [...webhooks])
        .where('next_at', '<=', clock())
        .orderBy('next_at')
        .limit(limit)
        .execute();
    },
    claimDelivery: ({ webhook, connection }, { claim, lifeMs }) =>
      db.transaction().execute(async (transaction) => {
        const stream = await transaction
          .updateTable('webhook_streams')
          .set((eb) => ({ claim, next_at: after(lifeMs), attempts: eb('attempts', '+', 1) }))
          .where('webhook', '=', webhook)
          .where('connection', '=', connection)
          .where('next_at', '<=', clock())
          .returning('attempts')
          .executeTakeFirst();
        if (!stream) return undefined;
        const event = await transaction
          .selectFrom('webhook_deliveries')
          .innerJoin('events', 'events.position', 'webhook_deliveries.position')
          .select(EVENT_COLUMNS)
          .where('webhook_deliveries.webhook', '=', webhook)
          .where('webhook_deliveries.connection', '=', connection)
          .where('webhook_deliveries.state', '=', 'pending')
          .orderBy('webhook_deliveries.position')
          .limit(1)
          .executeTakeFirst();
        if (event) return { webhook, claim, attempts: stream.attempts, event: toEventRow(event) };
        // The connection's events were pruned.
        await endStream(transaction, { webhook, connection, claim });
        return undefined;
      }),
    endDelivery: ({ webhook, claim, event }, error) =>
      db.transaction().execute(async (transaction) => {
        await transaction
          .updateTable('webhook_streams')
          .set({ claim, attempts: 0, next_at: clock() })
          .where('webhook', '=', webhook)
          .where('connection', '=', event.connection)
          .where('claim', '=', claim)
          .execute();
        const key = sql<boolean>`webhook = ${webhook} and position = ${event.position}`;
        await (error === undefined
          ? transaction.deleteFrom('webhook_deliveries').where(key).execute()
          : transaction.updateTable('webhook_deliveries').set({ state: 'dead', error }).where(key).execute());
        await endStream(transaction, { webhook, connection: event.connection, claim });
      }),
    async retryDelivery({ webhook, claim, event }: ClaimedDelivery, inMs) {
      await db
        .updateTable('webhook_streams')
        .set({ next_at: after(inMs) })
        .where('webhook', '=', webhook)
        .where('connection', '=', event.connection)
        .where('claim', '=', claim)
        .execute();
    },
    async listDeadDeliveries({ after: cursor, limit }) {
      let query = db
        .selectFrom('webhook_deliveries')
        .innerJoin('events', 'events.position', 'webhook_deliveries.position')
        .select(EVENT_COLUMNS)
        .select(['webhook_deliveries.webhook', 'webhook_deliveries.error'])
        .where('webhook_deliveries.state', '=', 'dead')
        .orderBy('webhook_deliveries.position')
        .orderBy('webhook_deliveries.webhook')
        .limit(limit);
      if (cursor)
        query = query.where(
          sql<boolean>`(webhook_deliveries.position, webhook_deliveries.webhook)
            > (${cursor.position}, ${cursor.webhook})`,
        );
      return (await query.execute()).map((row) => ({ webhook: row.webhook, error: row.error, event: toEventRow(row) }));
    },
    replayDeliveries: ({ webhook, eventId }) =>
      db.transaction().execute(async (transaction) => {
        let query = transaction
          .updateTable('webhook_deliveries')
          .set({ state: 'pending', error: null })
          .where('webhook', '=', webhook)
          .where('state', '=', 'dead');
        if (eventId !== undefined)
          query = query.where(sql<boolean>`position = (select position from events where id = ${eventId})`);
        const replayed = await query.returning('connection').execute();
        const streams = [...new Set(replayed.map(({ connection }) => connection))].sort();
        for (let start = 0; start < streams.length; start += 500) {
          const batch = streams.slice(start, start + 500).map((connection) => ({ webhook, connection }));
          await touchStreams(transaction, batch, clock);
        }
        return replayed.length;
      }),
  };
}

/** Removes a stream that has nothing left to deliver. */
async function endStream(
  db: Kysely<Database>,
  { webhook, connection, claim }: { webhook: string; connection: string; claim: string },
): Promise<void> {
  await db
    .deleteFrom('webhook_streams')
    .where('webhook', '=', webhook)
    .where('connection', '=', connection)
    .where('claim', '=', claim)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('webhook_deliveries')
            .select('position')
            .where('webhook', '=', webhook)
            .where('connection', '=', connection)
            .where('state', '=', 'pending'),
        ),
      ),
    )
    .execute();
}

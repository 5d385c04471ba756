import { sql } from 'kysely';
import type { Migration } from '../database.ts';

/** The outbox of events, and their deliveries to webhooks. */
export const events: Migration = {
  name: '0004-events',
  async up(db, { identityType }) {
    await db.schema
      .createTable('events')
      // The database counts it. A transaction that began earlier may commit later, so it cannot be a cursor.
      .addColumn('ordinal', sql.raw(identityType))
      .addColumn('id', 'text', (c) => c.notNull().unique())
      .addColumn('type', 'text', (c) => c.notNull())
      .addColumn('connection', 'text', (c) => c.notNull())
      .addColumn('data', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      // Assigned when the event is published, by one server at a time. So the events before a position are complete.
      .addColumn('position', 'bigint', (c) => c.unique())
      .execute();
    await db.schema
      .createIndex('events_unpublished')
      .on('events')
      .column('ordinal')
      .where(sql<boolean>`position is null`)
      .execute();
    await db.schema.createIndex('events_age').on('events').column('created_at').execute();

    await db.schema
      .createTable('event_counter')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('value', 'bigint', (c) => c.notNull())
      .execute();
    await db.insertInto('event_counter').values({ name: 'position', value: 0 }).execute();

    await db.schema
      .createTable('webhook_deliveries')
      .addColumn('webhook', 'text', (c) => c.notNull())
      .addColumn('position', 'bigint', (c) => c.notNull())
      .addColumn('connection', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('error', 'text')
      .addPrimaryKeyConstraint('webhook_deliveries_key', ['webhook', 'position'])
      .execute();
    await db.schema
      .createIndex('webhook_deliveries_pending')
      .on('webhook_deliveries')
      .columns(['webhook', 'connection', 'position'])
      .where(sql<boolean>`state = 'pending'`)
      .execute();
    await db.schema
      .createIndex('webhook_deliveries_dead')
      .on('webhook_deliveries')
      .columns(['position', 'webhook'])
      .where(sql<boolean>`state = 'dead'`)
      .execute();

    // A connection with events to deliver to a webhook. They are delivered one after the other, so a row, not an event,
    // becomes due.
    await db.schema
      .createTable('webhook_streams')
      .addColumn('webhook', 'text', (c) => c.notNull())
      .addColumn('connection', 'text', (c) => c.notNull())
      .addColumn('next_at', 'bigint', (c) => c.notNull())
      .addColumn('attempts', 'integer', (c) => c.notNull())
      .addColumn('claim', 'text')
      .addPrimaryKeyConstraint('webhook_streams_key', ['webhook', 'connection'])
      .execute();
    await db.schema.createIndex('webhook_streams_due').on('webhook_streams').column('next_at').execute();
  },
};

import { sql } from 'kysely';
import type { Migration } from '../database.ts';

/** Leases and failures of refreshes, and the time of the next background refresh. */
export const refreshLeases: Migration = {
  name: '0003-refresh-leases',
  async up(db) {
    for (const column of ['due_at', 'lease_expires_at', 'retry_at'] as const)
      await db.schema.alterTable('connections').addColumn(column, 'bigint').execute();
    for (const column of ['lease_holder', 'refresh_error'] as const)
      await db.schema.alterTable('connections').addColumn(column, 'text').execute();
    for (const column of ['refresh_failures', 'answer_lost'] as const)
      await db.schema
        .alterTable('connections')
        .addColumn(column, 'integer', (c) => c.notNull().defaultTo(0))
        .execute();
    // The index holds only connections that the background refreshes.
    await db.schema
      .createIndex('connections_due')
      .on('connections')
      .columns(['due_at', 'integration', 'user_id'])
      .where(sql<boolean>`due_at is not null and status = 'active'`)
      .execute();
  },
};

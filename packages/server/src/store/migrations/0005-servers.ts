import type { Migration } from '../database.ts';

/** The running server processes, and the encryption keys that each holds. */
export const servers: Migration = {
  name: '0005-servers',
  async up(db) {
    await db.schema
      .createTable('servers')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('key_ids', 'text', (c) => c.notNull())
      .addColumn('seen_at', 'bigint', (c) => c.notNull())
      .execute();
  },
};

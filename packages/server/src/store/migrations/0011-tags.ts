import { sql } from 'kysely';
import type { Migration } from '../database.ts';

/**
 * Tags of connections, and indexes for lists of connections. Servers of the earlier release change no tags, and they
 * leave the rows of deleted connections in `connection_tags`. Those name the id of no connection, so no list has them.
 */
export const tags: Migration = {
  name: '0011-tags',
  async up(db, { byteOrder }) {
    await db.schema
      .alterTable('connections')
      .addColumn('tags', 'text', (c) => c.notNull().defaultTo('{}'))
      .execute();
    for (const table of ['connect_attempts', 'connect_sessions'] as const)
      await db.schema.alterTable(table).addColumn('tags', 'text').execute();

    // A list by a tag reads this table in the order of its key, and joins the connections.
    await db.schema
      .createTable('connection_tags')
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('value', 'text', (c) => c.notNull())
      .addColumn('integration', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('account', 'text', (c) => c.notNull())
      .addColumn('uuid', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('connection_tags_key', ['name', 'value', 'integration', 'user_id', 'account'])
      .execute();
    await db.schema.createIndex('connection_tags_connection').on('connection_tags').column('uuid').execute();

    // Most accounts are the default one. A list of these is in the order of the primary key.
    await db.schema
      .createIndex('connections_by_account')
      .on('connections')
      .columns(['account', 'integration', 'user_id'])
      .where(sql<boolean>`account <> 'default'`)
      .execute();
    // Few connections need a reconnect. A list of the active ones skips them on its way.
    await db.schema
      .createIndex('connections_needing_reconnect')
      .on('connections')
      .columns(['integration', 'user_id', 'account'])
      .where(sql<boolean>`status = 'needs_reconnect'`)
      .execute();
    // The byte order keeps texts with the same prefix together.
    const userId = sql`user_id ${sql.raw(byteOrder)}`;
    await sql`create index connections_by_user on connections (${userId}, integration, account)`.execute(db);
  },
};

import type { Migration } from '../database.ts';

/**
 * Several accounts of one user at one Integration. Servers of the earlier release store and read `default` only, and
 * they go on as before: the primary key still is the Integration and the user.
 */
export const accounts: Migration = {
  name: '0009-accounts',
  async up(db) {
    for (const table of ['connections', 'connect_attempts', 'connect_sessions'] as const)
      await db.schema
        .alterTable(table)
        .addColumn('account', 'text', (c) => c.notNull().defaultTo('default'))
        .execute();
    await db.schema.alterTable('servers').addColumn('knows', 'text').execute();
    await db.schema
      .createIndex('connections_account')
      .on('connections')
      .columns(['integration', 'user_id', 'account'])
      .unique()
      .execute();
  },
};

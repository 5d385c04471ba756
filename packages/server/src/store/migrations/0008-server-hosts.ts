import type { Migration } from '../database.ts';

/** Where each server process runs and of which version it is; null for those of earlier releases. */
export const serverHosts: Migration = {
  name: '0008-server-hosts',
  async up(db) {
    await db.schema.alterTable('servers').addColumn('host', 'text').execute();
    await db.schema.alterTable('servers').addColumn('version', 'text').execute();
    await db.schema.alterTable('servers').addColumn('pid', 'bigint').execute();
  },
};

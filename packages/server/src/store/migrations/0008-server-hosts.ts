import type { Migration } from '../database.ts';

/** The machine and version of each server process; null for those of earlier releases. */
export const serverHosts: Migration = {
  name: '0008-server-hosts',
  async up(db) {
    await db.schema.alterTable('servers').addColumn('host', 'text').execute();
    await db.schema.alterTable('servers').addColumn('version', 'text').execute();
    await db.schema.alterTable('servers').addColumn('pid', 'bigint').execute();
  },
};

import { sql } from 'kysely';
import type { Migration } from '../database.ts';

/** The customer's own OAuth app of a connection, and of a session that makes one. Its secret is sealed. */
export const ownClients: Migration = {
  name: '0013-own-clients',
  async up(db, { bytesType }) {
    await db.schema.alterTable('connections').addColumn('oauth_client_id', 'text').execute();
    await db.schema.alterTable('connect_sessions').addColumn('sealed_client', sql.raw(bytesType)).execute();
  },
};

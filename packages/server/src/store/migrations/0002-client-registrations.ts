import { sql } from 'kysely';
import type { Migration } from '../database.ts';

/** Clients registered dynamically (RFC 7591). */
export const clientRegistrations: Migration = {
  name: '0002-client-registrations',
  async up(db, { bytesType }) {
    await db.schema
      .createTable('client_registrations')
      .addColumn('integration', 'text', (c) => c.notNull())
      .addColumn('issuer', 'text', (c) => c.notNull())
      .addColumn('redirect_uri', 'text', (c) => c.notNull())
      .addColumn('sealed_client', sql.raw(bytesType), (c) => c.notNull())
      .addColumn('expires_at', 'bigint')
      .addPrimaryKeyConstraint('client_registrations_key', ['integration', 'issuer', 'redirect_uri'])
      .execute();
  },
};

import { sql } from 'kysely';
import type { Migration } from '../database.ts';

/** Connections, attempts to connect, and connect sessions. */
export const connections: Migration = {
  name: '0001-connections',
  async up(db, { bytesType }) {
    const bytes = sql.raw(bytesType);
    await db.schema
      .createTable('nango_meta')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('value', bytes, (c) => c.notNull())
      .execute();

    await db.schema
      .createTable('connections')
      .addColumn('integration', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('uuid', 'text', (c) => c.notNull().unique())
      .addColumn('auth_mode', 'text', (c) => c.notNull())
      .addColumn('sealed_credentials', bytes, (c) => c.notNull())
      .addColumn('additional_config', 'text', (c) => c.notNull())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('status_reason', 'text')
      .addColumn('expires_at', 'bigint')
      .addColumn('version', 'bigint', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('connections_key', ['integration', 'user_id'])
      .execute();
    await db.schema.createIndex('connections_user').on('connections').columns(['user_id', 'integration']).execute();

    await db.schema
      .createTable('connect_attempts')
      .addColumn('attempt_hash', 'text', (c) => c.primaryKey())
      .addColumn('integration', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('origin', 'text')
      .addColumn('state_hash', 'text', (c) => c.unique())
      .addColumn('browser_hash', 'text')
      .addColumn('sealed_secrets', bytes)
      .addColumn('additional_config', 'text')
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('error_type', 'text')
      .addColumn('error_message', 'text')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('connect_attempts_expiry').on('connect_attempts').column('expires_at').execute();

    await db.schema
      .createTable('connect_sessions')
      .addColumn('token_hash', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('integrations', 'text')
      .addColumn('origin', 'text')
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('connect_sessions_expiry').on('connect_sessions').column('expires_at').execute();
  },
};

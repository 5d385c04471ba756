import { sql } from 'kysely';
import type { Migration } from '../database.ts';

/**
 * What a provider granted and to whom, what a back end permits beside the account, and links to connect. Servers of the
 * earlier release leave these columns as they are. So after a reconnect through one of them they describe the grant
 * before.
 */
export const grants: Migration = {
  name: '0012-grants',
  async up(db, { byteOrder }) {
    await addTexts('connections', [
      'requested_scopes',
      'granted_scopes',
      'identity_user',
      'identity_workspace',
      'identity_name',
    ]);
    await addTexts('connect_attempts', ['options', 'session_hash', 'code_hash']);
    await addTexts('connect_sessions', ['options', 'link_hash']);
    await db.schema.alterTable('connect_sessions').addColumn('token_expires_at', 'bigint').execute();
    await db.schema.alterTable('connect_sessions').addColumn('used_at', 'bigint').execute();

    await db.schema
      .createIndex('connections_by_identity')
      .on('connections')
      .columns(['identity_user', 'integration', 'user_id', 'account'])
      .where(sql<boolean>`identity_user is not null`)
      .execute();
    // The byte order keeps texts with the same prefix together.
    const name = sql`identity_name ${sql.raw(byteOrder)}`;
    await sql`create index connections_by_identity_name on connections (${name}, integration, user_id, account)
      where identity_name is not null`.execute(db);
    await db.schema
      .createIndex('connect_sessions_link')
      .on('connect_sessions')
      .column('link_hash')
      .unique()
      .where(sql<boolean>`link_hash is not null`)
      .execute();
    await db.schema
      .createIndex('connect_attempts_code')
      .on('connect_attempts')
      .column('code_hash')
      .unique()
      .where(sql<boolean>`code_hash is not null`)
      .execute();

    async function addTexts(table: 'connections' | 'connect_attempts' | 'connect_sessions', names: readonly string[]) {
      for (const column of names) await db.schema.alterTable(table).addColumn(column, 'text').execute();
    }
  },
};

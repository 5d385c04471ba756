import { sql, type Kysely } from 'kysely';
import type { Database, Migration } from '../database.ts';

/**
 * Makes the account a part of a connection's primary key. A server of the release before `0009-accounts` would take one
 * account for another, so none may run.
 */
export const accountKey: Migration = {
  name: '0010-account-key',
  async up(db, { isEmbedded }) {
    if (isEmbedded) return rebuildTable(db);
    await sql`alter table connections drop constraint connections_key`.execute(db);
    await sql`alter table connections
      add constraint connections_key primary key using index connections_account`.execute(db);
  },
};

const OLD_KEY = 'primary key ("integration", "user_id")';
const NEW_KEY = 'primary key ("integration", "user_id", "account")';

/** SQLite cannot change a primary key, so the table is copied. Later migrations may have added columns and indexes. */
async function rebuildTable(db: Kysely<Database>): Promise<void> {
  const { rows } = await sql<{ type: string; name: string; sql: string }>`
    select type, name, sql from sqlite_schema where tbl_name = 'connections' and sql is not null`.execute(db);
  const table = rows.find(({ type }) => type === 'table')?.sql ?? '';
  const next = table.replace('"connections"', '"connections_next"').replace(OLD_KEY, NEW_KEY);
  if (!next.includes('"connections_next"') || !next.includes(NEW_KEY))
    throw new Error('The table of connections has another form than this migration expects.');
  await sql.raw(next).execute(db);
  await sql`insert into connections_next select * from connections`.execute(db);
  await sql`drop table connections`.execute(db);
  await sql`alter table connections_next rename to connections`.execute(db);
  const indexes = rows.filter(({ type, name }) => type === 'index' && name !== 'connections_account');
  for (const index of indexes) await sql.raw(index.sql).execute(db);
}

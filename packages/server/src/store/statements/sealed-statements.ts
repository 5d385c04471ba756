import { sql, type Kysely } from 'kysely';
import type { Database } from '../database.ts';
import type { SealedTable, SealedValue, Store } from '../store.ts';

interface SealedColumn {
  readonly key: readonly string[];
  readonly column: string;
  /** Other columns that name the row. */
  readonly names?: readonly string[];
}

/** The key and the sealed column of each table that has one. */
const SEALED_COLUMNS: Readonly<Record<SealedTable, SealedColumn>> = {
  connections: { key: ['uuid'], column: 'sealed_credentials', names: ['integration', 'user_id', 'account'] },
  connect_attempts: { key: ['attempt_hash'], column: 'sealed_secrets' },
  connect_sessions: { key: ['token_hash'], column: 'sealed_client' },
  client_registrations: { key: ['integration', 'issuer', 'redirect_uri'], column: 'sealed_client' },
  nango_meta: { key: ['name'], column: 'value' },
};

/** Statements about the sealed values of all tables, for a key rotation. */
export function sealedStatements(db: Kysely<Database>): Pick<Store, 'sealedValues' | 'replaceSealed'> {
  return {
    async sealedValues(table, { after, limit }) {
      const { key, column, names = [] } = SEALED_COLUMNS[table];
      const keys = sql.join(key.map((name) => sql.ref(name)));
      const selected = sql.join([...key, ...names].map((name) => sql.ref(name)));
      const behind = after ? sql`and (${keys}) > (${sql.join([...after])})` : sql``;
      const { rows } = await sql<Record<string, unknown>>`
        select ${selected}, ${sql.ref(column)} as sealed from ${sql.table(table)}
        where ${sql.ref(column)} is not null ${behind} order by ${keys} limit ${limit}`.execute(db);
      return rows.map((row): SealedValue => {
        const { sealed } = row;
        if (!(sealed instanceof Uint8Array)) throw new TypeError('A sealed column holds no bytes.');
        return { table, sealed, key: valuesOf(row, key), names: valuesOf(row, names) };
      });
    },
    async replaceSealed({ table, key, sealed: old }, sealed) {
      const { key: names, column } = SEALED_COLUMNS[table];
      const where = names.map((name, index) => sql`${sql.ref(name)} = ${key[index]}`);
      const result = await sql`
        update ${sql.table(table)} set ${sql.ref(column)} = ${sealed}
        where ${sql.join(where, sql` and `)} and ${sql.ref(column)} = ${old}`.execute(db);
      return (result.numAffectedRows ?? 0n) > 0n;
    },
  };
}

function valuesOf(row: Record<string, unknown>, columns: readonly string[]): string[] {
  return columns.map((column) => String(row[column]));
}

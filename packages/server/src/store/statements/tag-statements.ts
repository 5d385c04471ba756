import type { Kysely } from 'kysely';
import type { Database } from '../database.ts';
import type { ConnectionIdentity, ConnectionRow } from '../store.ts';

/** Writes a connection's tags into the table that finds connections by a tag. */
export async function replaceTags(transaction: Kysely<Database>, row: ConnectionRow): Promise<void> {
  await removeTags(transaction, row);
  const tags: Record<string, string> = JSON.parse(row.tags);
  const { id: uuid, integration, userId: user_id, account } = row;
  const values = Object.entries(tags).map(([name, value]) => ({ name, value, integration, user_id, account, uuid }));
  if (values.length === 0) return;
  await transaction
    .insertInto('connection_tags')
    .values(values)
    // A server of an earlier release leaves the rows of a deleted connection.
    .onConflict((conflict) =>
      conflict.columns(['name', 'value', 'integration', 'user_id', 'account']).doUpdateSet({ uuid }),
    )
    .execute();
}

/** Removes a connection from the lists by tag. */
export async function removeTags(transaction: Kysely<Database>, { id }: ConnectionIdentity): Promise<void> {
  await transaction.deleteFrom('connection_tags').where('uuid', '=', id).execute();
}

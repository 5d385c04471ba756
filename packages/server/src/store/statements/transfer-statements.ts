import type { Kysely } from 'kysely';
import type { ConnectionChanges } from '../connection-changes.ts';
import { columns, NO_REFRESH, toConnectionRow, toGrantColumns } from './connection-rows.ts';
import { KEY, updateConnection } from './connection-statements.ts';
import { replaceTags } from './tag-statements.ts';
import type { Database, DatabaseDialect } from '../database.ts';
import { UNKNOWN_GRANT, type ConnectionRow, type ImportedConnection, type Store } from '../store.ts';

/** The statement that imports connections from another store. */
export function transferStatements(
  clock: DatabaseDialect['now'],
  changes: ConnectionChanges,
): Pick<Store, 'importConnections'> {
  return {
    importConnections: (connections, { replace }) =>
      changes.run(async (transaction, recordChange) => {
        let stored = 0;
        for (const connection of connections) {
          const row = await importConnection(transaction, connection, { replace, clock, changes });
          if (!row) continue;
          stored += 1;
          await recordChange([], row, { now: connection.updatedAt });
        }
        return stored;
      }),
  };
}

/** Undefined if the connection exists, and must not be replaced. */
async function importConnection(
  transaction: Kysely<Database>,
  connection: ImportedConnection,
  { replace, clock, changes }: { replace: boolean; clock: DatabaseDialect['now']; changes: ConnectionChanges },
): Promise<ConnectionRow | undefined> {
  const existing = await changes.lock(transaction, connection);
  if (existing && !replace) return undefined;
  const stored = existing
    ? await updateConnection(transaction, { ...connection, id: existing.uuid })
        .set((eb) => ({ ...changedValues(connection, existing.uuid), version: eb('version', '+', 1) }))
        .returning(columns(clock))
        .executeTakeFirst()
    : await transaction
        .insertInto('connections')
        .values({ ...newValues(connection), ...changedValues(connection, connection.id), version: 1 })
        .onConflict((conflict) => conflict.columns(KEY).doNothing())
        .returning(columns(clock))
        .executeTakeFirst();
  const row = stored && toConnectionRow(stored);
  if (row) await replaceTags(transaction, row);
  return row;
}

/** What is kept of a replaced connection. */
function newValues(connection: ImportedConnection) {
  return {
    uuid: connection.id,
    integration: connection.integration,
    user_id: connection.userId,
    account: connection.account,
    created_at: connection.createdAt,
  };
}

/** What is replaced. The credentials are sealed for the id. */
function changedValues(connection: ImportedConnection, id: string) {
  return {
    auth_mode: connection.authMode,
    sealed_credentials: connection.seal(id),
    additional_config: connection.additionalConfig,
    tags: connection.tags,
    ...toGrantColumns(connection.grant ?? UNKNOWN_GRANT),
    oauth_client_id: connection.oauthClientId ?? null,
    status: connection.status,
    status_reason: connection.statusReason,
    expires_at: connection.expiresAt,
    due_at: connection.dueAt,
    updated_at: connection.updatedAt,
    ...NO_REFRESH,
  };
}

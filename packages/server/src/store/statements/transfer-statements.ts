import type { ConnectionChanges } from '../connection-changes.ts';
import { columns, NO_REFRESH, toConnectionRow } from './connection-statements.ts';
import type { DatabaseDialect } from '../database.ts';
import type { ImportedConnection, Store } from '../store.ts';

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
          const { values, changed } = valuesOf(connection);
          const row = await transaction
            .insertInto('connections')
            .values({ ...values, ...changed, version: 1 })
            .onConflict((conflict) => {
              const pair = conflict.columns(['integration', 'user_id']);
              if (!replace) return pair.doNothing();
              return pair.doUpdateSet((eb) => ({ ...changed, version: eb('connections.version', '+', 1) }));
            })
            .returning(columns(clock))
            .executeTakeFirst();
          if (!row) continue;
          stored += 1;
          await recordChange([], toConnectionRow(row), { now: connection.updatedAt });
        }
        return stored;
      }),
  };
}

/** Splits a connection into the columns that a replacement keeps (`values`) and those that it changes. */
function valuesOf(connection: ImportedConnection) {
  return {
    values: {
      uuid: connection.uuid,
      integration: connection.integration,
      user_id: connection.userId,
      created_at: connection.createdAt,
    },
    changed: {
      auth_mode: connection.authMode,
      sealed_credentials: connection.sealedCredentials,
      additional_config: connection.additionalConfig,
      status: connection.status,
      status_reason: connection.statusReason,
      expires_at: connection.expiresAt,
      due_at: connection.dueAt,
      updated_at: connection.updatedAt,
      ...NO_REFRESH,
    },
  };
}

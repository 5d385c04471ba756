import { sql, type Kysely, type Selectable } from 'kysely';
import type { Database } from './database.ts';
import type { ConnectionKey, ConnectionRow, NewConnection, Store } from './store.ts';

type ConnectionStatements = Pick<
  Store,
  | 'insertConnection'
  | 'findConnection'
  | 'listConnections'
  | 'updateConfig'
  | 'updateCredentials'
  | 'markNeedsReconnect'
  | 'deleteConnection'
>;

/** Everything about connections but completing an attempt. */
export function connectionStatements(db: Kysely<Database>): ConnectionStatements {
  const update = (key: ConnectionKey) =>
    db.updateTable('connections').where('integration', '=', key.integration).where('user_id', '=', key.userId);
  return {
    async insertConnection(connection) {
      const row = await db
        .insertInto('connections')
        .values(toConnectionValues(connection))
        .onConflict((conflict) => conflict.columns(['integration', 'user_id']).doNothing())
        .returningAll()
        .executeTakeFirst();
      return row && toConnectionRow(row);
    },
    async findConnection({ integration, userId }) {
      const query = db
        .selectFrom('connections')
        .selectAll()
        .where('integration', '=', integration)
        .where('user_id', '=', userId);
      const row = await query.executeTakeFirst();
      return row && toConnectionRow(row);
    },
    async listConnections({ userId, integration, after, limit }) {
      let query = db.selectFrom('connections').selectAll().orderBy('integration').orderBy('user_id').limit(limit);
      if (userId !== undefined) query = query.where('user_id', '=', userId);
      if (integration !== undefined) query = query.where('integration', '=', integration);
      if (after) query = query.where(sql<boolean>`(integration, user_id) > (${after.integration}, ${after.userId})`);
      return (await query.execute()).map(toConnectionRow);
    },
    async updateConfig(key, additionalConfig, now) {
      const row = await update(key)
        .set({ additional_config: additionalConfig, updated_at: now })
        .returningAll()
        .executeTakeFirst();
      return row && toConnectionRow(row);
    },
    async updateCredentials(key, { sealedCredentials, expiresAt, now }, ifVersion) {
      let query = update(key).set((eb) => ({
        sealed_credentials: sealedCredentials,
        expires_at: expiresAt,
        status: 'active',
        status_reason: null,
        version: eb('version', '+', 1),
        updated_at: now,
      }));
      if (ifVersion !== undefined) query = query.where('version', '=', ifVersion);
      const row = await query.returningAll().executeTakeFirst();
      return row && toConnectionRow(row);
    },
    async markNeedsReconnect(key, { reason, ifVersion, now }) {
      const query = update(key).set({ status: 'needs_reconnect', status_reason: reason, updated_at: now });
      const row = await query.where('version', '=', ifVersion).returningAll().executeTakeFirst();
      return row && toConnectionRow(row);
    },
    async deleteConnection({ integration, userId }) {
      const query = db.deleteFrom('connections').where('integration', '=', integration).where('user_id', '=', userId);
      return (await query.executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}

/** Inserts, or replaces the credentials: a reconnect keeps the uuid and the additionalConfig, and swaps the credentials in one step. */
export async function upsertConnection(db: Kysely<Database>, connection: NewConnection): Promise<ConnectionRow> {
  const row = await db
    .insertInto('connections')
    .values(toConnectionValues(connection))
    .onConflict((conflict) =>
      conflict.columns(['integration', 'user_id']).doUpdateSet((eb) => ({
        auth_mode: eb.ref('excluded.auth_mode'),
        sealed_credentials: eb.ref('excluded.sealed_credentials'),
        expires_at: eb.ref('excluded.expires_at'),
        status: 'active',
        status_reason: null,
        version: eb('connections.version', '+', 1),
        updated_at: eb.ref('excluded.updated_at'),
        additional_config: connection.additionalConfig ?? eb.ref('connections.additional_config'),
      })),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
  return toConnectionRow(row);
}

function toConnectionValues({
  uuid,
  integration,
  userId,
  authMode,
  sealedCredentials,
  additionalConfig,
  expiresAt,
  now,
}: NewConnection) {
  return {
    uuid,
    integration,
    user_id: userId,
    auth_mode: authMode,
    sealed_credentials: sealedCredentials,
    additional_config: additionalConfig ?? '{}',
    status: 'active' as const,
    status_reason: null,
    expires_at: expiresAt,
    version: 1,
    created_at: now,
    updated_at: now,
  };
}

function toConnectionRow(row: Selectable<Database['connections']>): ConnectionRow {
  return {
    uuid: row.uuid,
    integration: row.integration,
    userId: row.user_id,
    authMode: row.auth_mode,
    sealedCredentials: row.sealed_credentials,
    additionalConfig: row.additional_config,
    status: row.status,
    statusReason: row.status_reason,
    expiresAt: row.expires_at,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

import { sql, type Kysely, type RawBuilder, type Selectable } from 'kysely';
import type { ConnectionChanges, ConnectionHealth, RecordChange } from '../connection-changes.ts';
import type { Database, DatabaseDialect } from '../database.ts';
import type { EventType } from '../../event-types.ts';
import type { ConnectionKey, ConnectionRow, NewConnection, Store } from '../store.ts';

type ConnectionStatements = Pick<
  Store,
  | 'insertConnection'
  | 'findConnection'
  | 'listConnections'
  | 'updateConfig'
  | 'updateCredentials'
  | 'markNeedsReconnect'
  | 'reactivate'
  | 'deleteConnection'
>;

/** Milliseconds by the database's clock. */
type DatabaseClock = DatabaseDialect['now'];

/** Statements about connections, except for the completion of an attempt. */
export function connectionStatements(
  db: Kysely<Database>,
  clock: DatabaseClock,
  changes: ConnectionChanges,
): ConnectionStatements {
  const find = findStatement(db, clock);
  return {
    insertConnection: (connection) =>
      changes.run(async (transaction, recordChange) => {
        const inserted = await transaction
          .insertInto('connections')
          .values(toConnectionValues(connection))
          .onConflict((conflict) => conflict.columns(['integration', 'user_id']).doNothing())
          .returning(columns(clock))
          .executeTakeFirst();
        if (!inserted) return undefined;
        const row = toConnectionRow(inserted);
        await recordChange(['connection.created'], row, connection);
        return row;
      }),
    async findConnection({ integration, userId }) {
      const { rows } = await db.executeQuery<SelectedRow>({ ...find(), parameters: [integration, userId] });
      return rows[0] && toConnectionRow(rows[0]);
    },
    async listConnections({ userId, integration, after, limit }) {
      let query = db
        .selectFrom('connections')
        .select(columns(clock))
        .orderBy('integration')
        .orderBy('user_id')
        .limit(limit);
      if (userId !== undefined) query = query.where('user_id', '=', userId);
      if (integration !== undefined) query = query.where('integration', '=', integration);
      // If one half of the key is fixed, a condition on the other half lets every database use its index.
      if (after && integration !== undefined) query = query.where('user_id', '>', after.userId);
      else if (after && userId !== undefined) query = query.where('integration', '>', after.integration);
      else if (after)
        query = query.where(sql<boolean>`(integration, user_id) > (${after.integration}, ${after.userId})`);
      return (await query.execute()).map(toConnectionRow);
    },
    updateConfig: (key, additionalConfig, now) =>
      changes.run(async (transaction, recordChange) => {
        const updated = await update(transaction, key)
          .set({ additional_config: additionalConfig, updated_at: now })
          .returning(columns(clock))
          .executeTakeFirst();
        if (!updated) return undefined;
        const row = toConnectionRow(updated);
        await recordChange([], row, { now });
        return row;
      }),
    updateCredentials: (key, { sealedCredentials, expiresAt, dueAt, now }, by) =>
      changes.run(async (transaction, recordChange) => {
        const before = await changes.lock(transaction, key);
        let query = update(transaction, key).set((eb) => ({
          sealed_credentials: sealedCredentials,
          expires_at: expiresAt,
          due_at: dueAt,
          status: 'active',
          status_reason: null,
          version: eb('version', '+', 1),
          updated_at: now,
          ...NO_REFRESH,
        }));
        if (by) query = query.where('version', '=', by.version).where('lease_holder', '=', by.holder);
        const updated = await query.returning(columns(clock)).executeTakeFirst();
        if (!updated) return undefined;
        const row = toConnectionRow(updated);
        await recordChange([by ? 'connection.refreshed' : 'connection.reconnected', ...recoveryEvents(before)], row, {
          now,
        });
        return row;
      }),
    markNeedsReconnect: (key, { reason, by, now }) =>
      changes.run(async (transaction, recordChange) => {
        const marked = await update(transaction, key)
          .set({
            status: 'needs_reconnect',
            status_reason: reason,
            updated_at: now,
            lease_holder: null,
            lease_expires_at: null,
          })
          .where('version', '=', by.version)
          .where('lease_holder', by.holder === null ? 'is' : '=', by.holder)
          .where('status', '=', 'active')
          .returning(columns(clock))
          .executeTakeFirst();
        if (!marked) return undefined;
        const row = toConnectionRow(marked);
        await recordChange(['connection.needs_reconnect'], row, { now });
        return row;
      }),
    reactivate: (key, { reason, version, now }) =>
      changes.run(async (transaction, recordChange) => {
        const active = await update(transaction, key)
          .set({ status: 'active', status_reason: null, updated_at: now })
          .where('version', '=', version)
          .where('status', '=', 'needs_reconnect')
          .where('status_reason', '=', reason)
          .returning(columns(clock))
          .executeTakeFirst();
        if (!active) return undefined;
        const row = toConnectionRow(active);
        await recordChange([], row, { now });
        return row;
      }),
    deleteConnection: ({ integration, userId }, now) =>
      changes.run(async (transaction, recordChange) => {
        const deleted = await transaction
          .deleteFrom('connections')
          .where('integration', '=', integration)
          .where('user_id', '=', userId)
          .returning(columns(clock))
          .executeTakeFirst();
        if (deleted) await recordChange(['connection.deleted'], toConnectionRow(deleted), { now });
        return deleted !== undefined;
      }),
  };
}

function update(db: Kysely<Database>, { integration, userId }: ConnectionKey) {
  return db.updateTable('connections').where('integration', '=', integration).where('user_id', '=', userId);
}

/** Returns the events that new credentials cause: they end all earlier failures. */
function recoveryEvents(before: ConnectionHealth | undefined): EventType[] {
  const hadFailures = before && (before.status === 'needs_reconnect' || before.refresh_failures > 0);
  return hadFailures ? ['connection.recovered'] : [];
}

/** The columns of a connection with new credentials: it has no lease and no failures. */
export const NO_REFRESH = {
  lease_holder: null,
  lease_expires_at: null,
  retry_at: null,
  refresh_failures: 0,
  refresh_error: null,
  answer_lost: 0,
};

/**
 * Inserts a connection, or replaces its credentials, in one step. A reconnect keeps the uuid, and the additionalConfig
 * unless there is a new one.
 */
export async function upsertConnection(
  transaction: Kysely<Database>,
  connection: NewConnection,
  { clock, changes, recordChange }: { clock: DatabaseClock; changes: ConnectionChanges; recordChange: RecordChange },
): Promise<ConnectionRow> {
  const before = await changes.lock(transaction, connection);
  const upserted = await transaction
    .insertInto('connections')
    .values(toConnectionValues(connection))
    .onConflict((conflict) =>
      conflict.columns(['integration', 'user_id']).doUpdateSet((eb) => ({
        auth_mode: eb.ref('excluded.auth_mode'),
        sealed_credentials: eb.ref('excluded.sealed_credentials'),
        expires_at: eb.ref('excluded.expires_at'),
        due_at: eb.ref('excluded.due_at'),
        ...NO_REFRESH,
        status: 'active',
        status_reason: null,
        version: eb('connections.version', '+', 1),
        updated_at: eb.ref('excluded.updated_at'),
        additional_config: connection.additionalConfig ?? eb.ref('connections.additional_config'),
      })),
    )
    .returning(columns(clock))
    .executeTakeFirstOrThrow();
  const row = toConnectionRow(upserted);
  await recordChange(
    [row.version === 1 ? 'connection.created' : 'connection.reconnected', ...recoveryEvents(before)],
    row,
    connection,
  );
  return row;
}

function toConnectionValues({
  uuid,
  integration,
  userId,
  authMode,
  sealedCredentials,
  additionalConfig,
  expiresAt,
  dueAt,
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
    due_at: dueAt,
    ...NO_REFRESH,
    version: 1,
    created_at: now,
    updated_at: now,
  };
}

/** Returns a row's columns. Times of refreshes are durations from now. */
export function columns(clock: DatabaseClock) {
  const remaining = (column: 'connections.lease_expires_at' | 'connections.retry_at') =>
    sql<number | null>`${sql.ref(column)} - ${clock()}`;
  // The counts of an earlier version of the credentials do not apply.
  const refused = (value: RawBuilder<unknown>) =>
    sql<number | null>`case when connections.refused_version = connections.version then ${value} end`;
  return [
    'connections.uuid',
    'connections.integration',
    'connections.user_id',
    'connections.auth_mode',
    'connections.sealed_credentials',
    'connections.additional_config',
    'connections.status',
    'connections.status_reason',
    'connections.expires_at',
    'connections.version',
    'connections.due_at',
    'connections.refresh_failures',
    'connections.refresh_error',
    'connections.answer_lost',
    'connections.created_at',
    'connections.updated_at',
    remaining('connections.lease_expires_at').as('leased_ms'),
    remaining('connections.retry_at').as('retry_in_ms'),
    refused(sql.ref('connections.refused_count')).as('refusals'),
    refused(sql`${clock()} - connections.refused_at`).as('refused_for_ms'),
  ] as const;
}

/**
 * Returns the statement that most requests run. It is compiled once, because compiling takes longer than running. Its
 * parameters are the key.
 */
function findStatement(db: Kysely<Database>, clock: DatabaseClock) {
  const compile = () =>
    db
      .selectFrom('connections')
      .select(columns(clock))
      .where('integration', '=', '')
      .where('user_id', '=', '')
      .limit(sql.lit(1))
      .compile();
  let compiled: ReturnType<typeof compile> | undefined;
  return () => (compiled ??= compile());
}

type SelectedRow = Pick<
  Selectable<Database['connections']>,
  | 'uuid'
  | 'integration'
  | 'user_id'
  | 'auth_mode'
  | 'sealed_credentials'
  | 'additional_config'
  | 'status'
  | 'status_reason'
  | 'expires_at'
  | 'version'
  | 'due_at'
  | 'refresh_failures'
  | 'refresh_error'
  | 'answer_lost'
  | 'created_at'
  | 'updated_at'
> &
  Record<'leased_ms' | 'retry_in_ms' | 'refusals' | 'refused_for_ms', number | null>;

/** Turns a row into what the store returns. */
export function toConnectionRow(row: SelectedRow): ConnectionRow {
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
    dueAt: row.due_at,
    refresh: {
      leasedMs: positiveOrNull(row.leased_ms),
      retryInMs: positiveOrNull(row.retry_in_ms),
      failures: row.refresh_failures,
      lastError: row.refresh_error,
      responseLost: row.answer_lost === 1,
      refusals: row.refusals ?? 0,
      refusedForMs: row.refused_for_ms,
    },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function positiveOrNull(milliseconds: number | null): number | null {
  return milliseconds !== null && milliseconds > 0 ? milliseconds : null;
}

import { sql, type CompiledQuery, type Kysely } from 'kysely';
import type { ConnectionChanges, LockedConnection, RecordChange } from '../connection-changes.ts';
import type { Database, DatabaseDialect } from '../database.ts';
import type { EventType } from '../../event-types.ts';
import {
  columns,
  NO_REFRESH,
  toConnectionRow,
  toGrantColumns,
  toIdentity,
  type SelectedRow,
} from './connection-rows.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { listStatement } from './list-statement.ts';
import { removeTags, replaceTags } from './tag-statements.ts';
import {
  UNKNOWN_GRANT,
  type ConnectionIdentity,
  type ConnectionRow,
  type MayReplace,
  type NewConnection,
  type Store,
} from '../store.ts';

type ConnectionStatements = Pick<
  Store,
  | 'insertConnection'
  | 'findConnection'
  | 'findConnectionById'
  | 'listConnections'
  | 'updateConfig'
  | 'updateTags'
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
  dialect: Pick<DatabaseDialect, 'now' | 'byteOrder'>,
  changes: ConnectionChanges,
): ConnectionStatements {
  const { now: clock } = dialect;
  const findByKey = findStatement(db, clock, ['integration', 'user_id', 'account']);
  const findById = findStatement(db, clock, ['uuid']);
  const find = async (statement: CompiledQuery<SelectedRow>, parameters: readonly string[]) => {
    const { rows } = await db.executeQuery<SelectedRow>({ ...statement, parameters });
    return rows[0] && toConnectionRow(rows[0]);
  };
  return {
    insertConnection: (connection) =>
      changes.run(async (transaction, recordChange) => {
        const inserted = await transaction
          .insertInto('connections')
          .values(toConnectionValues(connection))
          .onConflict((conflict) => conflict.columns(KEY).doNothing())
          .returning(columns(clock))
          .executeTakeFirst();
        if (!inserted) return undefined;
        const row = toConnectionRow(inserted);
        await replaceTags(transaction, row);
        await recordChange(['connection.created'], row, connection);
        return row;
      }),
    findConnection: ({ integration, userId, account }) => find(findByKey(), [integration, userId, account]),
    findConnectionById: (id) => find(findById(), [id]),
    listConnections: listStatement(db, dialect),
    updateConfig: (connection, additionalConfig, now) =>
      changes.run(async (transaction, recordChange) => {
        const updated = await updateConnection(transaction, connection)
          .set({ additional_config: additionalConfig, updated_at: now })
          .returning(columns(clock))
          .executeTakeFirst();
        if (!updated) return undefined;
        const row = toConnectionRow(updated);
        await recordChange([], row, { now });
        return row;
      }),
    updateTags: (connection, tags, now) =>
      changes.run(async (transaction, recordChange) => {
        const updated = await updateConnection(transaction, connection)
          .set({ tags, updated_at: now })
          .returning(columns(clock))
          .executeTakeFirst();
        if (!updated) return undefined;
        const row = toConnectionRow(updated);
        await replaceTags(transaction, row);
        await recordChange([], row, { now });
        return row;
      }),
    updateCredentials: (connection, { sealedCredentials, grant, oauthClientId, expiresAt, dueAt, now }, by) =>
      changes.run(async (transaction, recordChange) => {
        const before = await changes.lock(transaction, connection);
        let query = updateConnection(transaction, connection).set((eb) => ({
          sealed_credentials: sealedCredentials,
          ...toGrantColumns(grant ?? {}),
          ...(oauthClientId === undefined ? {} : { oauth_client_id: oauthClientId }),
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
    markNeedsReconnect: (connection, { reason, by, now }) =>
      changes.run(async (transaction, recordChange) => {
        const marked = await updateConnection(transaction, connection)
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
    reactivate: (connection, { reason, version, now }) =>
      changes.run(async (transaction, recordChange) => {
        const active = await updateConnection(transaction, connection)
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
    deleteConnection: (connection, now) =>
      changes.run(async (transaction, recordChange) => {
        const deleted = await transaction
          .deleteFrom('connections')
          .where(isConnection(connection))
          .returning(columns(clock))
          .executeTakeFirst();
        if (deleted) await removeTags(transaction, connection);
        if (deleted) await recordChange(['connection.deleted'], toConnectionRow(deleted), { now });
        return deleted !== undefined;
      }),
  };
}

/** The columns of a connection's key. */
export const KEY = ['integration', 'user_id', 'account'] as const;

/** An update of one connection. */
export function updateConnection(db: Kysely<Database>, connection: ConnectionIdentity) {
  return db.updateTable('connections').where(isConnection(connection));
}

function isConnection({ integration, userId, account, id }: ConnectionIdentity) {
  return sql<boolean>`integration = ${integration} and user_id = ${userId} and account = ${account} and uuid = ${id}`;
}

/** Returns the events that new credentials cause: they end all earlier failures. */
function recoveryEvents(before: LockedConnection | undefined): EventType[] {
  const hadFailures = before && (before.status === 'needs_reconnect' || before.refresh_failures > 0);
  return hadFailures ? ['connection.recovered'] : [];
}

/** The transaction in which a connection is stored. */
interface Upsert {
  readonly clock: DatabaseClock;
  readonly changes: ConnectionChanges;
  readonly recordChange: RecordChange;
  readonly mayReplace: MayReplace;
}

/**
 * Inserts a connection, or replaces its credentials in one step: a reconnect keeps the id and the additionalConfig. A
 * connection that may not be replaced stays as it is.
 */
export async function upsertConnection(
  transaction: Kysely<Database>,
  connection: NewConnection,
  { clock, changes, recordChange, mayReplace }: Upsert,
): Promise<ConnectionRow | undefined> {
  for (;;) {
    const before = await changes.lock(transaction, connection);
    assertReplaces(connection, before);
    if (before && !mayReplace(toIdentity(before))) return undefined;
    const stored = before
      ? await replaceConnection(transaction, { ...connection, id: before.uuid })
          .returning(columns(clock))
          .executeTakeFirst()
      : await transaction
          .insertInto('connections')
          .values(toConnectionValues(connection))
          .onConflict((conflict) => conflict.columns(KEY).doNothing())
          .returning(columns(clock))
          .executeTakeFirst();
    // Another server inserted it since the lock was asked for.
    if (!stored) continue;
    const row = toConnectionRow(stored);
    if (connection.tags !== null) await replaceTags(transaction, row);
    await recordChange(
      [before ? 'connection.reconnected' : 'connection.created', ...recoveryEvents(before)],
      row,
      connection,
    );
    return row;
  }
}

/** Throws `connection_not_found` if the connection has to replace another one than it would. */
function assertReplaces({ replaces }: NewConnection, before: LockedConnection | undefined): void {
  if (replaces === undefined || replaces === before?.uuid) return;
  throw new NangoError('connection_not_found', 'The connection that was to be connected again was deleted meanwhile.');
}

function replaceConnection(transaction: Kysely<Database>, connection: NewConnection) {
  const { id, authMode, seal, additionalConfig, tags, expiresAt, dueAt, now } = connection;
  return updateConnection(transaction, connection).set((eb) => ({
    auth_mode: authMode,
    sealed_credentials: seal(id),
    ...toGrantColumns(connection.grant ?? UNKNOWN_GRANT),
    oauth_client_id: connection.oauthClientId ?? null,
    expires_at: expiresAt,
    due_at: dueAt,
    ...NO_REFRESH,
    status: 'active',
    status_reason: null,
    version: eb('version', '+', 1),
    updated_at: now,
    ...(additionalConfig === null ? {} : { additional_config: additionalConfig }),
    ...(tags === null ? {} : { tags }),
  }));
}

function toConnectionValues(connection: NewConnection) {
  const { id, integration, userId, account, authMode, seal, additionalConfig, tags, expiresAt, dueAt, now } =
    connection;
  return {
    uuid: id,
    integration,
    user_id: userId,
    account,
    auth_mode: authMode,
    sealed_credentials: seal(id),
    additional_config: additionalConfig ?? '{}',
    tags: tags ?? '{}',
    ...toGrantColumns(connection.grant ?? UNKNOWN_GRANT),
    oauth_client_id: connection.oauthClientId ?? null,
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

/**
 * A statement that finds one connection, compiled once, because compiling takes longer than running it. Its parameters
 * are the values of the columns.
 */
function findStatement(db: Kysely<Database>, clock: DatabaseClock, names: readonly ('uuid' | (typeof KEY)[number])[]) {
  const compile = (): CompiledQuery<SelectedRow> =>
    db
      .selectFrom('connections')
      .select(columns(clock))
      .where((eb) => eb.and(names.map((name) => eb(name, '=', ''))))
      .limit(sql.lit(1))
      .compile();
  let compiled: CompiledQuery<SelectedRow> | undefined;
  return () => (compiled ??= compile());
}

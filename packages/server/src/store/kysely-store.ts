import { sql, type Kysely, type Selectable } from 'kysely';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import type { Database, DatabaseDialect } from './database.ts';
import { migrate } from './migrate.ts';
import type { ConnectAttemptRow, ConnectionKey, ConnectionRow, NewConnection, Store } from './store.ts';

const KEY_CHECK = 'key_check';
const ATTEMPT_RETENTION_MS = 3_600_000;

/** The store over Kysely; both databases share every statement. */
export function createKyselyStore(db: Kysely<Database>, dialect: DatabaseDialect): Store {
  return withStoreErrors({
    description: dialect.description,
    migrate: () => migrate(db, dialect),
    ping: async () => void (await sql`select 1`.execute(db)),
    close: () => db.destroy(),
    ...keyCheckStatements(db),
    ...connectionStatements(db),
    ...attemptStatements(db),
    ...sessionStatements(db),
  });
}

function keyCheckStatements(db: Kysely<Database>): Pick<Store, 'keyCheck'> {
  return {
    async keyCheck(candidate) {
      await db
        .insertInto('nango_meta')
        .values({ name: KEY_CHECK, value: candidate })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute();
      return (await db.selectFrom('nango_meta').select('value').where('name', '=', KEY_CHECK).executeTakeFirstOrThrow())
        .value;
    },
  };
}

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

function connectionStatements(db: Kysely<Database>): ConnectionStatements {
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

type AttemptStatements = Pick<
  Store,
  | 'insertAttempt'
  | 'findAttempt'
  | 'findAttemptByState'
  | 'beginAttempt'
  | 'takeAttempt'
  | 'failAttempt'
  | 'completeAttempt'
>;

function attemptStatements(db: Kysely<Database>): AttemptStatements {
  return {
    async insertAttempt({ attemptHash, integration, userId, origin, additionalConfig, now, expiresAt }) {
      await db
        .deleteFrom('connect_attempts')
        .where('expires_at', '<', now - ATTEMPT_RETENTION_MS)
        .execute();
      const empty = {
        state_hash: null,
        browser_hash: null,
        sealed_secrets: null,
        error_type: null,
        error_message: null,
      };
      const row = {
        attempt_hash: attemptHash,
        integration,
        user_id: userId,
        origin,
        additional_config: additionalConfig,
        created_at: now,
        expires_at: expiresAt,
      };
      await db
        .insertInto('connect_attempts')
        .values({ ...row, ...empty, status: 'created' })
        .execute();
    },
    async findAttempt(attemptHash) {
      const row = await db
        .selectFrom('connect_attempts')
        .selectAll()
        .where('attempt_hash', '=', attemptHash)
        .executeTakeFirst();
      return row && toAttemptRow(row);
    },
    async findAttemptByState(stateHash) {
      const row = await db
        .selectFrom('connect_attempts')
        .selectAll()
        .where('state_hash', '=', stateHash)
        .executeTakeFirst();
      return row && toAttemptRow(row);
    },
    async beginAttempt(attemptHash, { stateHash, browserHash, sealedSecrets, now }) {
      const row = await db
        .updateTable('connect_attempts')
        .set({ state_hash: stateHash, browser_hash: browserHash, sealed_secrets: sealedSecrets, status: 'authorizing' })
        .where('attempt_hash', '=', attemptHash)
        .where('status', '=', 'created')
        .where('expires_at', '>', now)
        .returningAll()
        .executeTakeFirst();
      return row && toAttemptRow(row);
    },
    async takeAttempt(stateHash, now) {
      const row = await db
        .updateTable('connect_attempts')
        .set({ status: 'completing' })
        .where('state_hash', '=', stateHash)
        .where('status', '=', 'authorizing')
        .where('expires_at', '>', now)
        .returningAll()
        .executeTakeFirst();
      return row && toAttemptRow(row);
    },
    async failAttempt(attemptHash, { type, message }) {
      await db
        .updateTable('connect_attempts')
        .set({ status: 'failed', error_type: type, error_message: message, sealed_secrets: null })
        .where('attempt_hash', '=', attemptHash)
        .where('status', '!=', 'succeeded')
        .execute();
    },
    completeAttempt: (attemptHash, connection) =>
      db.transaction().execute(async (transaction) => {
        const row = await upsertConnection(transaction, connection);
        const ended = { status: 'succeeded', sealed_secrets: null } as const;
        await transaction.updateTable('connect_attempts').set(ended).where('attempt_hash', '=', attemptHash).execute();
        return toConnectionRow(row);
      }),
  };
}

/** A reconnect keeps the uuid and the additionalConfig, and swaps the credentials in one step. */
function upsertConnection(db: Kysely<Database>, connection: NewConnection) {
  return db
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
}

function sessionStatements(db: Kysely<Database>): Pick<Store, 'insertSession' | 'findSession'> {
  return {
    async insertSession({ tokenHash, userId, integrations, origin, expiresAt }, now) {
      await db.deleteFrom('connect_sessions').where('expires_at', '<', now).execute();
      await db
        .insertInto('connect_sessions')
        .values({ token_hash: tokenHash, user_id: userId, integrations, origin, expires_at: expiresAt })
        .execute();
    },
    async findSession(tokenHash, now) {
      const query = db
        .selectFrom('connect_sessions')
        .selectAll()
        .where('token_hash', '=', tokenHash)
        .where('expires_at', '>', now);
      const row = await query.executeTakeFirst();
      return (
        row && {
          tokenHash,
          userId: row.user_id,
          integrations: row.integrations,
          origin: row.origin,
          expiresAt: row.expires_at,
        }
      );
    },
  };
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

function toAttemptRow(row: Selectable<Database['connect_attempts']>): ConnectAttemptRow {
  return {
    attemptHash: row.attempt_hash,
    integration: row.integration,
    userId: row.user_id,
    origin: row.origin,
    stateHash: row.state_hash,
    browserHash: row.browser_hash,
    sealedSecrets: row.sealed_secrets,
    additionalConfig: row.additional_config,
    status: row.status,
    errorType: row.error_type,
    errorMessage: row.error_message,
    expiresAt: row.expires_at,
  };
}

/** Whatever a database driver rejects with leaves the store as `store_unavailable`, with the driver's error as cause. */
function withStoreErrors(store: Store): Store {
  return new Proxy(store, {
    get(target, property, receiver) {
      const member: unknown = Reflect.get(target, property, receiver);
      if (typeof member !== 'function') return member;
      return async (...parameters: unknown[]): Promise<unknown> => {
        try {
          return await Reflect.apply(member, target, parameters);
        } catch (error) {
          throw error instanceof NangoError ? error : unavailable(error);
        }
      };
    },
  });
}

function unavailable(cause: unknown): NangoError {
  // Drivers name the statement and the host but never a bound value; still only the short message is passed on.
  return new NangoError(
    'store_unavailable',
    `The database did not do its work: ${messageOf(cause) || 'no connection'}.`,
    { cause, retryAfter: 1 },
  );
}

import type { Kysely, Selectable } from 'kysely';
import type { ConnectionChanges } from '../connection-changes.ts';
import { upsertConnection } from './connection-statements.ts';
import type { Database, DatabaseDialect } from '../database.ts';
import type { ConnectAttemptRow, Store } from '../store.ts';
import { useLinkOf } from './session-statements.ts';

type AttemptStatements = Pick<
  Store,
  | 'insertAttempt'
  | 'findAttempt'
  | 'findAttemptByState'
  | 'beginAttempt'
  | 'takeAttempt'
  | 'awaitConfirmation'
  | 'takeConfirmation'
  | 'issueCode'
  | 'redeemCode'
  | 'failAttempt'
  | 'completeAttempt'
>;

const MAX_ATTEMPTS_OF_A_USER = 20;

/** Statements about attempts to connect. Each step is one statement that succeeds for only one caller. */
export function attemptStatements(
  db: Kysely<Database>,
  clock: DatabaseDialect['now'],
  changes: ConnectionChanges,
): AttemptStatements {
  return {
    async insertAttempt({
      attemptHash,
      integration,
      userId,
      account,
      origin,
      nonceHash,
      additionalConfig,
      tags,
      options,
      sessionHash,
      sealedSecrets,
      now,
      expiresAt,
    }) {
      const empty = {
        state_hash: null,
        browser_hash: null,
        error_type: null,
        error_message: null,
      };
      const row = {
        attempt_hash: attemptHash,
        integration,
        user_id: userId,
        account,
        origin,
        nonce_hash: nonceHash,
        additional_config: additionalConfig,
        tags,
        options,
        session_hash: sessionHash,
        sealed_secrets: sealedSecrets,
        created_at: now,
        expires_at: expiresAt,
      };
      await db.transaction().execute(async (transaction) => {
        await transaction
          .insertInto('connect_attempts')
          .values({ ...row, ...empty, status: 'created' })
          .execute();
        await deleteOldestAttempts(transaction, userId);
      });
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
    async awaitConfirmation(attemptHash, sealedSecrets) {
      await db
        .updateTable('connect_attempts')
        .set({ status: 'confirming', sealed_secrets: sealedSecrets })
        .where('attempt_hash', '=', attemptHash)
        .where('status', '=', 'completing')
        .execute();
    },
    async takeConfirmation(codeHash, now) {
      const row = await db
        .updateTable('connect_attempts')
        .set({ status: 'completing', code_hash: null })
        .where('code_hash', '=', codeHash)
        .where('status', '=', 'confirming')
        .where('expires_at', '>', now)
        .returningAll()
        .executeTakeFirst();
      return row && toAttemptRow(row);
    },
    async issueCode(attemptHash, { codeHash, expiresAt }) {
      await db
        .updateTable('connect_attempts')
        .set({ code_hash: codeHash, expires_at: expiresAt })
        .where('attempt_hash', '=', attemptHash)
        .execute();
    },
    async redeemCode(attemptHash, codeHash, now) {
      const row = await db
        .updateTable('connect_attempts')
        .set({ code_hash: null })
        .where('attempt_hash', '=', attemptHash)
        .where('code_hash', '=', codeHash)
        .where('status', 'in', ['succeeded', 'failed'])
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
    completeAttempt: (attemptHash, connection, mayReplace = () => true) =>
      changes.run(async (transaction, recordChange) => {
        const upsert = { clock, changes, recordChange, mayReplace };
        const row = await upsertConnection(transaction, connection, upsert);
        if (!row) return undefined;
        await useLinkOf(transaction, attemptHash, connection.now);
        const ended = { status: 'succeeded', sealed_secrets: null } as const;
        await transaction.updateTable('connect_attempts').set(ended).where('attempt_hash', '=', attemptHash).execute();
        return row;
      }),
  };
}

/** Limits the stored attempts of a user, because a page can begin any number of attempts. */
async function deleteOldestAttempts(db: Kysely<Database>, userId: string): Promise<void> {
  const kept = db
    .selectFrom('connect_attempts')
    .select('attempt_hash')
    .where('user_id', '=', userId)
    .orderBy('created_at', 'desc')
    .orderBy('attempt_hash')
    .limit(MAX_ATTEMPTS_OF_A_USER);
  await db
    .deleteFrom('connect_attempts')
    .where('user_id', '=', userId)
    // An attempt whose code is being exchanged ends by itself.
    .where('status', '!=', 'completing')
    .where('attempt_hash', 'not in', kept)
    .execute();
}

function toAttemptRow(row: Selectable<Database['connect_attempts']>): ConnectAttemptRow {
  return {
    attemptHash: row.attempt_hash,
    integration: row.integration,
    userId: row.user_id,
    account: row.account,
    origin: row.origin,
    nonceHash: row.nonce_hash,
    stateHash: row.state_hash,
    browserHash: row.browser_hash,
    sealedSecrets: row.sealed_secrets,
    additionalConfig: row.additional_config,
    tags: row.tags,
    options: row.options,
    sessionHash: row.session_hash,
    status: row.status,
    errorType: row.error_type,
    errorMessage: row.error_message,
    expiresAt: row.expires_at,
  };
}

import type { Kysely, Selectable } from 'kysely';
import { NangoError } from '../../errors/nango-error.ts';
import type { Database } from '../database.ts';
import type { ConnectSessionRow, Store } from '../store.ts';

type SessionStatements = Pick<Store, 'insertSession' | 'findSession' | 'findSessionByLink'>;

/** Statements about connect sessions, whose keys are hashes of their tokens. */
export function sessionStatements(db: Kysely<Database>): SessionStatements {
  return {
    async insertSession({ tokenHash, userId, sealedClient, linkHash, tokenExpiresAt, expiresAt, ...columns }) {
      await db
        .insertInto('connect_sessions')
        .values({
          token_hash: tokenHash,
          user_id: userId,
          sealed_client: sealedClient,
          link_hash: linkHash,
          token_expires_at: tokenExpiresAt,
          expires_at: expiresAt,
          ...columns,
        })
        .execute();
    },
    async findSession(tokenHash, now) {
      const row = await db
        .selectFrom('connect_sessions')
        .selectAll()
        .where('token_hash', '=', tokenHash)
        .where((eb) => eb(eb.fn.coalesce('token_expires_at', 'expires_at'), '>', now))
        .executeTakeFirst();
      return row && toSessionRow(row);
    },
    async findSessionByLink(linkHash) {
      const row = await db
        .selectFrom('connect_sessions')
        .selectAll()
        .where('link_hash', '=', linkHash)
        .executeTakeFirst();
      return row && toSessionRow(row);
    },
  };
}

/**
 * Marks the link that began an attempt as used, in the transaction that stores the connection. Throws `invalid_link` if
 * another attempt of the link has made a connection. Does nothing for an attempt that no link began.
 */
export async function useLinkOf(transaction: Kysely<Database>, attemptHash: string, now: number): Promise<void> {
  const attempt = await transaction
    .selectFrom('connect_attempts')
    .select('session_hash')
    .where('attempt_hash', '=', attemptHash)
    .executeTakeFirst();
  const sessionHash = attempt?.session_hash ?? null;
  if (sessionHash === null) return;
  const { numUpdatedRows } = await transaction
    .updateTable('connect_sessions')
    .set({ used_at: now })
    .where('token_hash', '=', sessionHash)
    .where('used_at', 'is', null)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) return;
  throw new NangoError('invalid_link', 'This link has made another connection meanwhile. Nothing was changed.');
}

function toSessionRow(row: Selectable<Database['connect_sessions']>): ConnectSessionRow {
  return {
    tokenHash: row.token_hash,
    userId: row.user_id,
    account: row.account,
    tags: row.tags,
    integrations: row.integrations,
    origin: row.origin,
    options: row.options,
    sealedClient: row.sealed_client,
    linkHash: row.link_hash,
    tokenExpiresAt: row.token_expires_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
  };
}

import type { Kysely } from 'kysely';
import type { Database } from '../database.ts';
import type { Store } from '../store.ts';

/** Statements about connect sessions, whose keys are hashes of their tokens. */
export function sessionStatements(db: Kysely<Database>): Pick<Store, 'insertSession' | 'findSession'> {
  return {
    async insertSession({ tokenHash, userId, expiresAt, ...columns }) {
      await db
        .insertInto('connect_sessions')
        .values({ token_hash: tokenHash, user_id: userId, ...columns, expires_at: expiresAt })
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
          account: row.account,
          tags: row.tags,
          integrations: row.integrations,
          origin: row.origin,
          options: row.options,
          expiresAt: row.expires_at,
        }
      );
    },
  };
}

import type { Migration } from '../database.ts';

/** The proof that an attempt's page has to give before the user is redirected without a question. */
export const attemptNonces: Migration = {
  name: '0006-attempt-nonces',
  async up(db) {
    await db.schema.alterTable('connect_attempts').addColumn('nonce_hash', 'text').execute();
    await db.schema
      .createIndex('connect_attempts_user')
      .on('connect_attempts')
      .columns(['user_id', 'created_at'])
      .execute();
  },
};

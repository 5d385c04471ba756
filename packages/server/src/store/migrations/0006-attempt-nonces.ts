import type { Migration } from '../database.ts';

/** The hash of the nonce with which an attempt's page proves that it began the attempt. */
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

import type { Migration } from '../database.ts';

/**
 * Since when, and how often, the provider has rejected the refresh token of one version of the credentials. Servers of
 * earlier releases do not write these columns, and new credentials have another version.
 */
export const refusedRefreshes: Migration = {
  name: '0007-refused-refreshes',
  async up(db) {
    for (const column of ['refused_version', 'refused_count', 'refused_at'] as const)
      await db.schema.alterTable('connections').addColumn(column, 'bigint').execute();
  },
};

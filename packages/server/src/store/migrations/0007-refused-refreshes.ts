import type { Migration } from '../database.ts';

/**
 * Since when, and how often, the provider has rejected the refresh token of one version. Older servers leave it
 * unchanged. New credentials are another version, for which it does not count.
 */
export const refusedRefreshes: Migration = {
  name: '0007-refused-refreshes',
  async up(db) {
    for (const column of ['refused_version', 'refused_count', 'refused_at'] as const)
      await db.schema.alterTable('connections').addColumn(column, 'bigint').execute();
  },
};

import type { Migration } from '../database.ts';

/**
 * Since when, and how often, the provider has refused the refresh token of one version. Servers that know nothing of this
 * leave it as it is; new credentials are another version, of which it says nothing.
 */
export const refusedRefreshes: Migration = {
  name: '0007-refused-refreshes',
  async up(db) {
    for (const column of ['refused_version', 'refused_count', 'refused_at'] as const)
      await db.schema.alterTable('connections').addColumn(column, 'bigint').execute();
  },
};

import { hostname } from 'node:os';
import type { Settings } from '../config/settings.ts';
import { NangoError } from '../errors/nango-error.ts';
import { openKeyedStore } from './open-store.ts';
import { VERSION } from '../package-files.ts';
import { isGone, LIVE_MS } from './server-presence.ts';

/** Whether `nango migrate finish` did the rest of the migration, or nothing was left to do. */
export type FinishedMigration = 'finished' | 'nothing_to_do';

/**
 * Does the part of the migration that servers of the release before cannot work with. Throws `migration_blocked`, and
 * changes nothing, while one of these runs.
 */
export async function finishMigration(settings: Settings): Promise<FinishedMigration> {
  await using opened = await openKeyedStore(settings, { missing: 'refuse', outdated: 'migrate' });
  const { store } = opened;
  if (await store.isMigrationFinished()) return 'nothing_to_do';
  const own = { host: hostname(), pid: process.pid, version: VERSION };
  const older = await store.finishMigration(LIVE_MS, ({ place }) => place !== undefined && isGone(place, own));
  if (older.length === 0) return 'finished';
  const names = older.map(({ name }) => `  ${name}`).join('\n');
  throw new NangoError(
    'migration_blocked',
    `These servers are of an earlier release and cannot use the database afterwards:\n${names}\n` +
      'End them, or start them with this release, and try again. ' +
      `A server that was killed is listed for ${LIVE_MS / 1000} seconds.`,
  );
}

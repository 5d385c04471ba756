import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Database, DatabaseDialect } from '../database.ts';
import type { LiveServer, Store } from '../store.ts';

const RECORD_LIFE_MS = 86_400_000;
const keyIdsSchema = z.array(z.string());

/** Statements about running server processes, by the database's clock. */
export function serverStatements(
  db: Kysely<Database>,
  { now, earlierServers }: DatabaseDialect,
): Pick<Store, 'recordServer' | 'removeServer' | 'liveServers'> {
  return {
    async recordServer({ id, name, keyIds, place }) {
      const row = { name, key_ids: JSON.stringify(keyIds), seen_at: now(), ...place };
      await db
        .insertInto('servers')
        .values({ id, ...row })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute();
      await db
        .deleteFrom('servers')
        .where('seen_at', '<', (eb) => eb(now(), '-', RECORD_LIFE_MS))
        .execute();
    },
    async removeServer(id) {
      await db.deleteFrom('servers').where('id', '=', id).execute();
    },
    async liveServers(withinMs) {
      const rows = await db
        .selectFrom('servers')
        .select(['name', 'key_ids', 'host', 'version', 'pid'])
        .where('seen_at', '>=', (eb) => eb(now(), '-', withinMs))
        .orderBy('name')
        .execute();
      const recorded = rows.map((row) => ({
        name: row.name,
        keyIds: keyIdsSchema.parse(JSON.parse(row.key_ids)),
        place: placeOf(row),
      }));
      const earlier = earlierServers ? (await earlierServers().execute(db)).rows : [];
      return [...recorded, ...earlier.map(({ name }) => ({ name, keyIds: undefined, place: undefined }))];
    },
  };
}

function placeOf({ host, version, pid }: Pick<Database['servers'], 'host' | 'version' | 'pid'>): LiveServer['place'] {
  return host === null || version === null || pid === null ? undefined : { host, version, pid };
}

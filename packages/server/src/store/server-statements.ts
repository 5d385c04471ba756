import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Database, DatabaseDialect } from './database.ts';
import type { Store } from './store.ts';

const FORGOTTEN_MS = 86_400_000;
const keyIdsSchema = z.array(z.string());

/** Server processes that run, by the database's clock. */
export function serverStatements(
  db: Kysely<Database>,
  { now, earlierServers }: DatabaseDialect,
): Pick<Store, 'recordServer' | 'removeServer' | 'liveServers'> {
  return {
    async recordServer({ id, name, keyIds }) {
      const row = { name, key_ids: JSON.stringify(keyIds), seen_at: now() };
      await db
        .insertInto('servers')
        .values({ id, ...row })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute();
      await db
        .deleteFrom('servers')
        .where('seen_at', '<', (eb) => eb(now(), '-', FORGOTTEN_MS))
        .execute();
    },
    async removeServer(id) {
      await db.deleteFrom('servers').where('id', '=', id).execute();
    },
    async liveServers(withinMs) {
      const rows = await db
        .selectFrom('servers')
        .select(['name', 'key_ids'])
        .where('seen_at', '>=', (eb) => eb(now(), '-', withinMs))
        .orderBy('name')
        .execute();
      const recorded = rows.map((row) => ({ name: row.name, keyIds: keyIdsSchema.parse(JSON.parse(row.key_ids)) }));
      const earlier = earlierServers ? (await earlierServers().execute(db)).rows : [];
      return [...recorded, ...earlier.map(({ name }) => ({ name, keyIds: undefined }))];
    },
  };
}

import { sql, type Kysely } from 'kysely';
import { NangoError } from '../errors/nango-error.ts';
import type { Database, DatabaseDialect, Migration } from './database.ts';
import { connections } from './migrations/0001-connections.ts';
import { clientRegistrations } from './migrations/0002-client-registrations.ts';
import { refreshLeases } from './migrations/0003-refresh-leases.ts';
import { events } from './migrations/0004-events.ts';
import { servers } from './migrations/0005-servers.ts';
import { attemptNonces } from './migrations/0006-attempt-nonces.ts';
import { refusedRefreshes } from './migrations/0007-refused-refreshes.ts';
import { serverHosts } from './migrations/0008-server-hosts.ts';
import type { SchemaState } from './store.ts';

/**
 * All migrations, in the order they run.
 * @public for a test that runs them in its own process
 */
export const MIGRATIONS: readonly Migration[] = [
  connections,
  clientRegistrations,
  refreshLeases,
  events,
  servers,
  attemptNonces,
  refusedRefreshes,
  serverHosts,
];

/**
 * Runs the missing migrations in one transaction that excludes other servers. Throws `schema_too_new` if the database
 * has migrations that this version does not know, because this version could damage the newer data.
 */
export async function migrate(db: Kysely<Database>, dialect: DatabaseDialect, migrations = MIGRATIONS): Promise<void> {
  await db.connection().execute(async (connection) => {
    for (const statement of dialect.beginExclusive) await sql.raw(statement).execute(connection);
    try {
      await runMissing(connection, dialect, migrations);
      await sql`commit`.execute(connection);
    } catch (error) {
      await sql`rollback`.execute(connection);
      throw error;
    }
  });
}

async function runMissing(
  db: Kysely<Database>,
  dialect: DatabaseDialect,
  migrations: readonly Migration[],
): Promise<void> {
  await db.schema
    .createTable('nango_migrations')
    .ifNotExists()
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('applied_at', 'bigint', (c) => c.notNull())
    .execute();
  const applied = await appliedMigrations(db, migrations);
  for (const migration of migrations.filter(({ name }) => !applied.has(name))) {
    await migration.up(db, dialect);
    await db.insertInto('nango_migrations').values({ name: migration.name, applied_at: dialect.now() }).execute();
  }
}

/** Returns whether a database can be used without migrations. Writes nothing. Throws `schema_too_new`. */
export async function schemaState(
  db: Kysely<Database>,
  dialect: DatabaseDialect,
  migrations = MIGRATIONS,
): Promise<SchemaState> {
  const { rows } = await sql<{ found: unknown }>`select ${dialect.hasTable('nango_migrations')} as found`.execute(db);
  // SQLite stores booleans as numbers.
  if (!rows[0]?.found) return 'empty';
  const applied = await appliedMigrations(db, migrations);
  if (applied.size === 0) return 'empty';
  return applied.size < migrations.length ? 'outdated' : 'current';
}

async function appliedMigrations(db: Kysely<Database>, migrations: readonly Migration[]): Promise<Set<string>> {
  const applied = new Set((await db.selectFrom('nango_migrations').select('name').execute()).map((row) => row.name));
  const knownNames = new Set(migrations.map((migration) => migration.name));
  const unknownNames = [...applied].filter((name) => !knownNames.has(name));
  if (unknownNames.length === 0) return applied;
  throw new NangoError(
    'schema_too_new',
    `The database has migrations that this version does not know (${unknownNames.join(', ')}). ` +
      'Start a server of the newer version, or restore a backup.',
  );
}

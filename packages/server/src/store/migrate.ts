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
import { accounts } from './migrations/0009-accounts.ts';
import { accountKey } from './migrations/0010-account-key.ts';
import { tags } from './migrations/0011-tags.ts';
import { grants } from './migrations/0012-grants.ts';
import { ownClients } from './migrations/0013-own-clients.ts';
import type { LiveServer, SchemaState } from './store.ts';

/** The steps of the schema, in the order they run. A released step is never changed. */
export interface Migrations {
  /** Servers of every earlier release refuse to start after these. */
  readonly required: readonly Migration[];
  /** Servers of the release before can start after these, and go on. So they are recorded where it does not look. */
  readonly compatible: readonly Migration[];
  /** Run by `nango migrate finish`, or at once on an empty database. They need every compatible step. */
  readonly finishing: readonly Migration[];
}

/**
 * All steps.
 * @public for a test that runs them in a process of its own
 */
export const MIGRATIONS: Migrations = {
  required: [
    connections,
    clientRegistrations,
    refreshLeases,
    events,
    servers,
    attemptNonces,
    refusedRefreshes,
    serverHosts,
  ],
  compatible: [accounts, tags, grants, ownClients],
  finishing: [accountKey],
};

/** What a server tells others of the schema: the newest finishing step that it can work with. */
export const NEWEST_FINISHING_STEP = accountKey.name;

type StepTable = 'nango_migrations' | 'nango_expansions';

/**
 * Runs the missing steps, all or none, while no other server can. On an empty database it also runs the finishing ones.
 * Throws `schema_too_new` if the database has steps that this version does not know: writing could break what the newer
 * version relies on.
 */
export async function migrate(db: Kysely<Database>, dialect: DatabaseDialect, migrations = MIGRATIONS): Promise<void> {
  await exclusively(db, dialect, async (connection) => {
    for (const table of STEP_TABLES) await createStepTable(connection, table);
    const applied = await appliedSteps(connection, dialect, migrations);
    const run = async (table: StepTable, steps: readonly Migration[]) =>
      runSteps(connection, dialect, { table, steps: steps.filter(({ name }) => !applied.has(name)) });
    await run('nango_migrations', migrations.required);
    await run('nango_expansions', migrations.compatible);
    if (applied.size === 0) await run('nango_migrations', migrations.finishing);
  });
}

/**
 * Runs the missing finishing steps, all or none. `findOlder` is called while no other server can migrate. If it finds
 * servers, nothing changes, and the result names them.
 */
export async function finishMigration(
  db: Kysely<Database>,
  dialect: DatabaseDialect,
  findOlder: (db: Kysely<Database>) => Promise<LiveServer[]>,
): Promise<LiveServer[]> {
  return exclusively(db, dialect, async (connection) => {
    const applied = await appliedSteps(connection, dialect, MIGRATIONS);
    const steps = MIGRATIONS.finishing.filter(({ name }) => !applied.has(name));
    const older = steps.length > 0 ? await findOlder(connection) : [];
    if (older.length === 0) await runSteps(connection, dialect, { table: 'nango_migrations', steps });
    return older;
  });
}

/** Returns whether a database can be used without migrations. Writes nothing. Throws `schema_too_new`. */
export async function schemaState(
  db: Kysely<Database>,
  dialect: DatabaseDialect,
  migrations = MIGRATIONS,
): Promise<SchemaState> {
  const applied = await appliedSteps(db, dialect, migrations);
  if (applied.size === 0) return 'empty';
  const isMissing = ({ name }: Migration) => !applied.has(name);
  if ([...migrations.required, ...migrations.compatible].some(isMissing)) return 'outdated';
  return migrations.finishing.some(isMissing) ? 'unfinished' : 'current';
}

const STEP_TABLES = ['nango_migrations', 'nango_expansions'] as const;

async function exclusively<T>(
  db: Kysely<Database>,
  { beginExclusive }: DatabaseDialect,
  work: (connection: Kysely<Database>) => Promise<T>,
): Promise<T> {
  return db.connection().execute(async (connection) => {
    for (const statement of beginExclusive) await sql.raw(statement).execute(connection);
    try {
      const result = await work(connection);
      await sql`commit`.execute(connection);
      return result;
    } catch (error) {
      await sql`rollback`.execute(connection);
      throw error;
    }
  });
}

async function createStepTable(db: Kysely<Database>, table: StepTable): Promise<void> {
  await db.schema
    .createTable(table)
    .ifNotExists()
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('applied_at', 'bigint', (c) => c.notNull())
    .execute();
}

async function runSteps(
  db: Kysely<Database>,
  dialect: DatabaseDialect,
  { table, steps }: { table: StepTable; steps: readonly Migration[] },
): Promise<void> {
  for (const step of steps) {
    await step.up(db, dialect);
    await db.insertInto(table).values({ name: step.name, applied_at: dialect.now() }).execute();
  }
}

/** The names of all steps that ran. A compatible step of a newer version may be among them. */
async function appliedSteps(
  db: Kysely<Database>,
  dialect: DatabaseDialect,
  { required, finishing }: Migrations,
): Promise<Set<string>> {
  const applied = await stepsIn('nango_migrations', db, dialect);
  const known = new Set([...required, ...finishing].map(({ name }) => name));
  const unknown = applied.filter((name) => !known.has(name));
  if (unknown.length === 0) return new Set([...applied, ...(await stepsIn('nango_expansions', db, dialect))]);
  throw new NangoError(
    'schema_too_new',
    `The database has migrations that this version does not know (${unknown.join(', ')}). ` +
      'Start a server of the newer version, or restore a backup.',
  );
}

async function stepsIn(table: StepTable, db: Kysely<Database>, { hasTable }: DatabaseDialect): Promise<string[]> {
  const { rows } = await sql<{ found: unknown }>`select ${hasTable(table)} as found`.execute(db);
  // SQLite stores booleans as numbers.
  if (!rows[0]?.found) return [];
  return (await db.selectFrom(table).select('name').execute()).map(({ name }) => name);
}

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { sql, Kysely, PostgresDialect } from 'kysely';
import Nango from '@nangohq/node-client';
import pg from 'pg';
import type { Database, DatabaseDialect } from '../../packages/server/src/store/database.ts';
import { MIGRATIONS, migrate } from '../../packages/server/src/store/migrate.ts';
import { openPostgresStore } from '../../packages/server/src/store/postgres.ts';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { secret } from '../support/secrets.ts';
import { startPostgres } from '../support/postgres.ts';
import { runCli, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const INTEGRATIONS = `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/' }
`;
const WORK = { integration: 'keyed', userId: '1', account: 'work' };

/** A Nango folder over a database that the release before accounts wrote: users 1, 2 and org/3 of `keyed`. */
async function setUp(t: TestContext) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': INTEGRATIONS,
  });
  const dataDirectory = join(folder, 'data');
  mkdirSync(dataDirectory, { mode: 0o700 });
  const file = join(dataDirectory, 'nango.db');
  const fixture = readFileSync(join(import.meta.dirname, 'fixtures/earlier-release.db.gz'));
  writeFileSync(file, gunzipSync(fixture), { mode: 0o600 });
  const environment = {
    NANGO_FOLDER: folder,
    NANGO_DATA_DIR: dataDirectory,
    NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
    NANGO_SECRET_KEY: SECRET_KEY,
  };
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  return {
    nango,
    file,
    start: () => startServerProcess(t, { folder, url, environment }),
    finish: () => runCli(['migrate', 'finish'], { environment }),
    rotate: () => runCli(['keys', 'rotate'], { environment }),
    cli: (...parameters: string[]) => runCli(parameters, { environment }),
    path: (name: string) => join(folder, name),
  };
}

/** The names of the steps for which the release before looks: it refuses to start if it does not know one. */
function migrationsOf(file: string): unknown[] {
  const database = new DatabaseSync(file, { readOnly: true });
  const rows = database.prepare('select name from nango_migrations order by name').all();
  database.close();
  return rows.map((row) => row['name']);
}

const keyOf = async (nango: Nango, userId: string) =>
  (await nango.getConnection('keyed', userId)).returnValue.credentials['api_key'];

test('a database of the release before opens, and that release can still use it', async (t) => {
  const { nango, file, start } = await setUp(t);
  const before = migrationsOf(file);
  const server = await start();
  for (const userId of ['1', '2', 'org/3']) assert.equal(await keyOf(nango, userId), `key-of-${userId}`);
  await nango.updateConnectionCredentials('keyed', '2', { api_key: 'new' });
  await assert.rejects(nango.registerConnection(WORK, { api_key: 'w' }), {
    type: 'migration_unfinished',
    message: /nango migrate finish/,
  });
  // A server of that release would neither know these limits nor obey them.
  const { id: connectionId } = (await nango.getConnection('keyed', '1')).returnValue;
  for (const session of [{ connectionId }, { userId: '1', expiresInSeconds: 86_401 }])
    await assert.rejects(nango.createConnectSession(session), { type: 'migration_unfinished' });
  assert.equal((await nango.createConnectSession({ userId: '1' })).returnValue.connectUrl, null);
  await server.stop();
  assert.deepEqual(migrationsOf(file), before);
  const database = new DatabaseSync(file);
  // A statement of the release before: it names no account, and the key of two columns.
  database.exec(`insert into connections (integration, user_id, uuid, auth_mode, sealed_credentials, additional_config,
      status, version, created_at, updated_at, refresh_failures, answer_lost)
    select integration, user_id, 'x', auth_mode, sealed_credentials, additional_config, status, 1, 1, 1, 0, 0
      from connections where user_id = '1'
    on conflict (integration, user_id) do update set version = connections.version + 1`);
  database.close();
  const again = await start();
  assert.equal(await keyOf(nango, '2'), 'new');
  assert.equal(await keyOf(nango, '1'), 'key-of-1');
  await again.stop();
});

test('nango migrate finish is refused while an earlier release runs, and then it permits accounts', async (t) => {
  const { nango, file, start, finish, rotate } = await setUp(t);
  const server = await start();
  const database = new DatabaseSync(file);
  // A server of the release before records nothing about what it can work with.
  database.exec(`insert into servers (id, name, key_ids, seen_at, host, version, pid)
    values ('old', 'old.example (process 7)', '[]', ${Date.now() + 3_600_000}, 'old.example', '0.1.0', 7)`);
  const blocked = await finish();
  assert.equal(blocked.code, 1);
  assert.match(blocked.stderr, /old\.example \(process 7\)/);
  await assert.rejects(nango.registerConnection(WORK, { api_key: 'w' }), { type: 'migration_unfinished' });
  database.exec(`delete from servers where id = 'old'`);
  database.close();
  const finished = await finish();
  assert.deepEqual([finished.code, /finished/.test(finished.stderr)], [0, true], finished.stderr);
  const { id } = (await nango.registerConnection(WORK, { api_key: 'w' })).returnValue;
  assert.equal((await nango.getConnection({ connectionId: id })).returnValue.account, 'work');
  for (const userId of ['1', '2', 'org/3']) assert.equal(await keyOf(nango, userId), `key-of-${userId}`);
  assert.match((await finish()).stderr, /nothing to do/);
  // Credentials of the release before are bound to their key. A rotation binds them to their id, too.
  assert.match((await rotate()).stderr, /3 values were sealed/);
  assert.match((await rotate()).stderr, /0 values were sealed/);
  for (const userId of ['1', '2', 'org/3']) assert.equal(await keyOf(nango, userId), `key-of-${userId}`);
  await server.stop();
  assert.ok(migrationsOf(file).includes('0010-account-key'));
});

test('a backup of the release before, restored into a finished database, permits accounts', async (t) => {
  const { nango, start, finish, cli, path } = await setUp(t);
  assert.equal((await cli('backup', path('earlier.db'))).code, 0);
  const server = await start();
  assert.equal((await finish()).code, 0);
  await nango.registerConnection(WORK, { api_key: 'w' });
  const restored = await cli('restore', path('earlier.db'));
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal(await keyOf(nango, '1'), 'key-of-1');
  await assert.rejects(nango.getConnection(WORK), { type: 'connection_not_found' });
  await nango.registerConnection(WORK, { api_key: 'again' });
  assert.equal((await nango.getConnection(WORK)).returnValue.credentials['api_key'], 'again');
  await server.stop();
});

test('an export of the release before is imported as default accounts without tags', async (t) => {
  const { nango, start, cli, path } = await setUp(t);
  const exported = (await cli('export', '--clear-credentials')).stdout.trim().split('\n');
  // This command reads a database of the release before only when a server has migrated it.
  assert.deepEqual(exported, ['']);
  const server = await start();
  const [header = '', ...lines] = (await cli('export', '--clear-credentials')).stdout.trim().split('\n');
  const earlier = lines.map((line) => {
    const { id: _, account: __, tags: ___, ...connection } = JSON.parse(line) as Record<string, unknown>;
    return JSON.stringify(connection);
  });
  writeFileSync(path('earlier.jsonl'), [header.replace('"nango_export":2', '"nango_export":1'), ...earlier].join('\n'));
  for (const userId of ['1', '2', 'org/3']) await nango.deleteConnection('keyed', userId);
  const imported = await cli('import', path('earlier.jsonl'));
  assert.equal(imported.code, 0, imported.stderr);
  const { account, tags } = (await nango.getConnection('keyed', 'org/3')).returnValue;
  assert.deepEqual([account, tags, await keyOf(nango, '2')], ['default', {}, 'key-of-2']);
  await server.stop();
});

test('PostgreSQL: connections of the release before keep their rows when the migration is finished', async (t) => {
  const url = await (await startPostgres(t)).createDatabase();
  await migrateAsBefore(url);
  const store = openPostgresStore(secret(url));
  const client = new pg.Client(url);
  await client.connect();
  try {
    // The release before inserts a connection like this, on its own schema and on the one that this release migrates.
    const insert = `insert into connections (integration, user_id, uuid, auth_mode, sealed_credentials,
        additional_config, status, version, created_at, updated_at)
      values ('keyed', $1, $2, 'API_KEY', '\\x01', '{}', 'active', 1, 1, 1)
      on conflict (integration, user_id) do nothing`;
    await client.query(insert, ['1', randomUUID()]);
    await store.migrate();
    assert.deepEqual([await store.schemaState(), await store.isMigrationFinished()], ['unfinished', false]);
    await client.query(insert, ['2', randomUUID()]);
    assert.deepEqual(await store.finishMigration(45_000, () => false), []);
    assert.deepEqual([await store.schemaState(), await store.isMigrationFinished()], ['current', true]);
    const rows = await store.listConnections({ limit: 10 });
    assert.deepEqual(
      rows.map(({ userId, account }) => [userId, account]),
      [
        ['1', 'default'],
        ['2', 'default'],
      ],
    );
    await assert.rejects(client.query(insert, ['3', randomUUID()]), /no unique or exclusion constraint/);
  } finally {
    await Promise.all([store.close(), client.end()]);
  }
});

/** Makes the schema that the release before accounts made. */
async function migrateAsBefore(url: string): Promise<void> {
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }) });
  const dialect: Pick<DatabaseDialect, 'bytesType' | 'identityType' | 'hasTable' | 'now' | 'beginExclusive'> = {
    bytesType: 'bytea',
    identityType: 'bigint generated always as identity primary key',
    hasTable: (name) => sql`to_regclass(${name}) is not null`,
    now: () => sql<number>`0`,
    beginExclusive: ['begin'],
  };
  await migrate(db, dialect as DatabaseDialect, { required: MIGRATIONS.required, compatible: [], finishing: [] });
  await db.destroy();
}

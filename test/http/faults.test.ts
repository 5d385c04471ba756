import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import Nango from '@nangohq/node-client';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { cleanEnvironment, runCli } from '../support/server-process.ts';
import { createCleanup, temporaryFolder } from '../support/temporary-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const KEYED = `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/' }
`;
const KEYS = { NANGO_SECRET_KEY: SECRET_KEY, NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY };

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

/** A server whose files cannot grow beyond so many KiB. SQLite sees this as a full disk. */
async function startOnSmallDisk(t: TestContext, kibibytes: number | 'unlimited', folder: string) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const command = `ulimit -f ${kibibytes}; exec "$0" packages/server/bin/nango.js start --folder "$1" --port ${port}`;
  const child = spawn('bash', ['-c', command, process.execPath, folder], {
    cwd: ROOT,
    env: cleanEnvironment({ ...KEYS, NANGO_DATA_DIR: join(folder, 'data') }),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    return exited;
  };
  t.after(() => void child.kill('SIGKILL'));
  while (
    !(await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error(child.stderr.read() as string);
  }
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  return { nango, stop };
}

test('S4: on a full disk writes fail, acknowledged data is readable, and writes work again with space', async (t) => {
  const folder = temporaryFolder(t, { 'integrations.yaml': KEYED });
  const full = await startOnSmallDisk(t, 1_024, folder);
  const acknowledged: string[] = [];
  const padding = 'x'.repeat(8_000);
  const fill = async () => {
    for (let index = 0; ; index += 1) {
      await full.nango.registerConnection('keyed', String(index), { api_key: `key-${index}`, padding });
      acknowledged.push(String(index));
    }
  };
  await assert.rejects(fill(), { type: 'store_unavailable', message: /full|disk|I\/O/i });
  assert.ok(acknowledged.length > 10, String(acknowledged.length));
  const last = acknowledged.at(-1) ?? '';
  assert.equal((await full.nango.getConnection('keyed', last)).returnValue.credentials['api_key'], `key-${last}`);
  await full.stop();
  const roomy = await startOnSmallDisk(t, 'unlimited', folder);
  const stored = (await roomy.nango.getConnections()).returnValue.map(({ userId }) => userId);
  assert.deepEqual(stored.sort(), acknowledged.sort());
  await roomy.nango.registerConnection('keyed', 'room', { api_key: 'k' });
  await roomy.stop();
});

test('S4: a database file that cannot be written stops the start, and the message names it', async (t) => {
  const folder = temporaryFolder(t, { 'integrations.yaml': KEYED });
  const data = join(folder, 'data');
  const server = await startTestServer(createCleanupOf(t), { integrations: KEYED, dataDirectory: data });
  await server.running.close();
  for (const name of readdirSync(data)) chmodSync(join(data, name), 0o444);
  chmodSync(data, 0o555);
  chmodSync(folder, 0o755);
  chmodSync(join(folder, 'integrations.yaml'), 0o644);
  // Root may write anywhere, so the server runs as another user, who may not even change the mode.
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const child = spawn(process.execPath, ['packages/server/bin/nango.js', 'start', '--folder', folder], {
    cwd: ROOT,
    env: cleanEnvironment({ ...KEYS, NANGO_DATA_DIR: data }),
    stdio: ['ignore', 'ignore', 'pipe'],
    ...user,
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'exit')) as [number];
  chmodSync(data, 0o755);
  assert.equal(code, 1);
  assert.match(stderr, /nango\.db cannot be opened: .*(permission denied|readonly|unable)/);
});

for (const [name, modules, argumentOf] of [
  ['SQLite', 'sqlite', async (t: TestContext) => join(temporaryFolder(t), 'nango.db')],
  ['PostgreSQL', 'postgres', () => postgres.createDatabase()],
] as const) {
  test(`S4: a migration killed half way leaves nothing behind, and the next start runs it (${name})`, async (t) => {
    const place = await argumentOf(t);
    const source = (file: string) => JSON.stringify(pathToFileURL(join(ROOT, 'packages/server/src/store', file)).href);
    const open = modules === 'sqlite' ? 'openSqliteStore' : 'openPostgresStore';
    // The last migration ends the process after all others have changed the schema.
    const script = (dies: boolean) => `
      import { MIGRATIONS } from ${source('migrate.ts')};
      import { ${open} as open } from ${source(`${modules}.ts`)};
      import { Secret } from ${source('../vault/secret.ts')};
      const up = async () => process.kill(process.pid, 'SIGKILL');
      if (${dies}) MIGRATIONS.finishing.push({ name: '0099-dies', up });
      const store = open(${modules === 'sqlite' ? '' : 'new Secret'}(${JSON.stringify(place)}));
      await store.migrate();
      console.log(JSON.stringify(await store.listConnections({ limit: 1 })));
      await store.close();`;
    const run = async (dies: boolean) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script(dies)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
      return { code, signal, stdout };
    };
    assert.equal((await run(true)).signal, 'SIGKILL');
    if (modules === 'postgres') assert.deepEqual(await tablesOf(place), []);
    assert.deepEqual(await run(false), { code: 0, signal: null, stdout: '[]\n' });
  });
}

test('S5: a running server survives a newer version beside it, and an older server does not start', async (t) => {
  const databaseUrl = await postgres.createDatabase();
  const { nango, folder } = await startTestServer(t, { integrations: KEYED, databaseUrl });
  await nango.registerConnection('keyed', '1', { api_key: 'k' });
  // Does what a newer version does at its start: its migrations only add.
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query('alter table connections add column future text');
  await client.query(`insert into nango_migrations (name, applied_at) values ('9999-future', 1)`);
  await client.end();
  await nango.updateConnectionCredentials('keyed', '1', { api_key: 'k2' });
  await nango.registerConnection('keyed', '2', { api_key: 'k' });
  assert.equal((await nango.getConnection('keyed', '1')).returnValue.credentials['api_key'], 'k2');
  const refused = await runCli(['start', '--folder', folder], { environment: { ...KEYS, DATABASE_URL: databaseUrl } });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /migrations that this version does not know \(9999-future\)/);
});

async function tablesOf(databaseUrl: string): Promise<string[]> {
  const db = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: databaseUrl }) }),
  });
  const tables = await db.introspection.getTables();
  await db.destroy();
  return tables.map(({ name }) => name);
}

/** Starts a server that a test may stop itself. It is not stopped again at the end of the test. */
function createCleanupOf(t: TestContext) {
  return { after: (task: () => unknown) => t.after(() => Promise.resolve(task()).catch(() => undefined)) };
}

test('S4: another process that locks the database file blocks nothing, and is reported after seconds', async (t) => {
  const folder = temporaryFolder(t);
  const server = await startTestServer(t, { integrations: KEYED, dataDirectory: folder });
  await server.nango.registerConnection('keyed', '1', { api_key: 'k' });
  const other = new DatabaseSync(join(folder, 'nango.db'));
  t.after(() => other.close());
  other.exec('begin immediate');
  const write = server.api('POST', '/api/connections', {
    integration: 'keyed',
    userId: '2',
    credentials: { api_key: 'k' },
  });
  // SQLite’s own waiting would block the process for seconds at a time.
  const delays = monitorEventLoopDelay({ resolution: 10 });
  delays.enable();
  const first = await Promise.race([
    write.then(() => 'write'),
    server.nango.getConnection('keyed', '1').then(() => 'read'),
  ]);
  assert.equal(first, 'read');
  const { status, body } = await write;
  delays.disable();
  assert.ok(delays.max < 2_500_000_000, `blocked for ${delays.max / 1e6} ms`);
  assert.equal(status, 503);
  assert.match(JSON.stringify(body), /store_unavailable.*Another process holds the lock/);
  other.exec('rollback');
  await server.nango.registerConnection('keyed', '2', { api_key: 'k' });
});

test('S4: a write waits for a lock that is released in time', async (t) => {
  const folder = temporaryFolder(t);
  const server = await startTestServer(t, { integrations: KEYED, dataDirectory: folder });
  const other = new DatabaseSync(join(folder, 'nango.db'));
  t.after(() => other.close());
  other.exec('begin immediate');
  const write = server.nango.registerConnection('keyed', '1', { api_key: 'k' });
  await assert.rejects(server.nango.getConnection('keyed', '1'), { type: 'connection_not_found' });
  other.exec('rollback');
  await write;
});

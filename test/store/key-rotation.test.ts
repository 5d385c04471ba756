import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import Nango from '@nangohq/node-client';
import pg from 'pg';
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { startPostgres } from '../support/postgres.ts';
import { runCli, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const CONNECTIONS = 450;

/** A folder with an embedded store, its own keys, and connections. */
async function setUp(t: Parameters<typeof temporaryFolder>[0], more: Record<string, string> = {}) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': `integrations:\n  keyed:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: 'https://a.example/' }\n`,
  });
  const dataDirectory = join(folder, 'data');
  const environment = { NANGO_SECRET_KEY: SECRET_KEY, NANGO_DATA_DIR: dataDirectory, ...more };
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  const start = () => startServerProcess(t, { folder, url, environment });
  const keys = (...parameters: string[]) => runCli(['keys', ...parameters, '--folder', folder], { environment });
  const read = async (index: number) => (await nango.getConnection('keyed', String(index))).returnValue.credentials;
  return {
    nango,
    start,
    keys,
    read,
    file: join(dataDirectory, 'nango.db'),
    keyFile: join(dataDirectory, 'encryption.key'),
  };
}

interface Usage {
  readonly sealingKeyId: string;
  readonly keys: { id: string; values: number; present: boolean }[];
  readonly unreadable: number;
}

test('S3: the key changes while the server runs, an interrupted rotation can be repeated', async (t) => {
  const { nango, start, keys, read, file, keyFile } = await setUp(t);
  const first = await start();
  for (let index = 0; index < CONNECTIONS; index += 1)
    await nango.registerConnection('keyed', String(index), { api_key: `key-${index}` });
  assert.equal((await keys('add')).code, 0);
  assert.equal(readFileSync(keyFile, 'utf8').trim().split('\n').length, 2);
  await first.stop();
  const second = await start();
  assert.equal((await read(7))['api_key'], 'key-7');

  // A rotation that was killed half way leaves some rows with the new key.
  const [changed] = await Promise.all([
    nango.updateConnectionCredentials('keyed', '3', { api_key: 'changed' }),
    keys('rotate'),
  ]);
  assert.equal(changed.success, true);
  const rotated = await keys('rotate', '--json');
  assert.equal(rotated.code, 0, rotated.stderr);
  const usage = JSON.parse((await keys('check', '--json')).stdout) as Usage;
  assert.equal(usage.unreadable, 0);
  assert.deepEqual(
    usage.keys.map(({ id, values }) => [id === usage.sealingKeyId, values]),
    [
      [true, CONNECTIONS + 1],
      [false, 0],
    ],
  );
  assert.deepEqual([(await read(7))['api_key'], (await read(3))['api_key']], ['key-7', 'changed']);
  await second.stop();

  const [newest = ''] = readFileSync(keyFile, 'utf8').split('\n');
  const alone = await runCli(['keys', 'check', '--json'], {
    environment: { NANGO_ENCRYPTION_KEY: newest, NANGO_SECRET_KEY: SECRET_KEY, NANGO_DATA_DIR: join(keyFile, '..') },
  });
  assert.equal((JSON.parse(alone.stdout) as Usage).unreadable, 0);
  const store = openSqliteStore(file);
  t.after(() => store.close());
  const [value] = await store.sealedValues('connections', { after: undefined, limit: 1 });
  assert.ok(value);
  assert.equal(await store.replaceSealed({ ...value, sealed: Uint8Array.of(1) }, Uint8Array.of(2)), false);
});

test('keys check names the rows that cannot be opened, or the place where no database is', async (t) => {
  const { nango, start, keys, file } = await setUp(t);
  const none = await keys('check');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /The database .* does not exist/);
  const server = await start();
  await nango.registerConnection('keyed', '1', { api_key: 'key' });
  await server.stop();
  const store = openSqliteStore(file);
  const [value] = await store.sealedValues('connections', { after: undefined, limit: 1 });
  assert.ok(
    value &&
      (await store.replaceSealed(
        value,
        Uint8Array.from(value.sealed, (byte, index) => (index === 30 ? byte ^ 1 : byte)),
      )),
  );
  await store.close();
  const { code, stderr } = await keys('check');
  assert.equal(code, 1);
  assert.match(stderr, /1 values cannot be opened with the present keys/);
  assert.equal((await keys('rotate')).code, 0);
});

test('S3: a rotation is rejected while a server runs without the newest key, and nothing is lost', async (t) => {
  const { nango, start, keys, read } = await setUp(t);
  const first = await start();
  await nango.registerConnection('keyed', '1', { api_key: 'key-1' });
  await keys('add');
  const refused = await keys('rotate');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, new RegExp(`these servers run without it[\\s\\S]*\\(process ${first.child.pid}\\)`));
  assert.match(
    (await keys('check')).stderr,
    new RegExp(`process ${first.child.pid}\\) runs without the key that seals`),
  );
  await nango.updateConnectionConfig('keyed', '1', { a: 1 });
  assert.equal((await read(1))['api_key'], 'key-1');
  await first.stop();
  await start();
  const rotated = await keys('rotate');
  assert.equal(rotated.code, 0, rotated.stderr);
  assert.equal((await read(1))['api_key'], 'key-1');
});

test('S3: all servers on PostgreSQL must hold the key, including those of an earlier release', async (t) => {
  const postgres = await startPostgres(t);
  const DATABASE_URL = await postgres.createDatabase();
  const newest = Buffer.alloc(32, 9).toString('base64');
  const withKeys = (NANGO_ENCRYPTION_KEY: string) => setUp(t, { DATABASE_URL, NANGO_ENCRYPTION_KEY });
  const old = await (await withKeys(ENCRYPTION_KEY)).start();
  const both = await withKeys(`${ENCRYPTION_KEY},${newest}`);
  await both.start();
  await both.nango.registerConnection('keyed', '1', { api_key: 'key-1' });
  const operator = await withKeys(`${newest},${ENCRYPTION_KEY}`);
  const refused = await operator.keys('rotate');
  assert.equal(refused.code, 1);
  assert.deepEqual(refused.stderr.match(/\(process \d+\)/g), [`(process ${old.child.pid})`]);
  assert.equal(await old.stop(), 0);

  const earlier = new pg.Client({ connectionString: DATABASE_URL, application_name: 'nango changes' });
  await earlier.connect();
  assert.match((await operator.keys('rotate')).stderr, /a server of an earlier release at 127\.0\.0\.1/);
  await earlier.end();
  const rotated = await operator.keys('rotate', '--json');
  assert.equal(rotated.code, 0, rotated.stderr);
  assert.equal((await both.read(1))['api_key'], 'key-1');
  await assert.rejects((await withKeys(ENCRYPTION_KEY)).start(), /not the key that sealed this database/);
});

test('a server that seals with a key which others lack logs that at its start', async (t) => {
  const postgres = await startPostgres(t);
  const DATABASE_URL = await postgres.createDatabase();
  const newest = Buffer.alloc(32, 9).toString('base64');
  const old = await (await setUp(t, { DATABASE_URL, NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY })).start();
  const next = await setUp(t, { DATABASE_URL, NANGO_ENCRYPTION_KEY: `${newest},${ENCRYPTION_KEY}` });
  const server = await next.start();
  await server.stop();
  assert.match(
    server.output(),
    new RegExp(`process ${old.child.pid}.*other servers lack the key that this server seals with`),
  );
});

test('S3: a server that starts during the start of a rotation is noticed, and the old key stays', async (t) => {
  const { nango, start, keys, file } = await setUp(t);
  const server = await start();
  await nango.registerConnection('keyed', '1', { api_key: 'key-1' });
  await server.stop();
  await keys('add');
  const database = new DatabaseSync(file);
  t.after(() => database.close());
  // The server recorded itself after the rotation had looked for servers.
  database.exec(`create trigger late after update on nango_meta begin
    insert or replace into servers (id, name, key_ids, seen_at)
      values ('late', 'a late server', '[]', cast(unixepoch() as integer) * 1000);
  end`);
  const refused = await keys('rotate');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /a late server/);
  const usage = JSON.parse((await keys('check', '--json')).stdout) as Usage;
  assert.deepEqual(
    usage.keys.map(({ id, values }) => [id === usage.sealingKeyId, values]),
    [
      [true, 0],
      [false, 2],
    ],
  );
  database.exec(`drop trigger late; delete from servers`);
  assert.equal((await keys('rotate')).code, 0);
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Nango from '@nangohq/node-client';
import { openSqliteStore } from '../packages/server/src/store/sqlite.ts';
import { freePort } from './support/free-port.ts';
import { SECRET_KEY } from './support/nango-server.ts';
import { runCli, startServerProcess } from './support/server-process.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const CONNECTIONS = 450;

/** A folder with an embedded store, its own keys, and connections in it. */
async function setUp(t: Parameters<typeof temporaryFolder>[0]) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': `integrations:\n  keyed:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: 'https://a.example/' }\n`,
  });
  const dataDirectory = join(folder, 'data');
  const environment = { NANGO_SECRET_KEY: SECRET_KEY, NANGO_DATA_DIR: dataDirectory };
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

test('S3: the key changes while the server goes on, a rotation cut short is begun again, and the old key is not needed', async (t) => {
  const { nango, start, keys, read, file, keyFile } = await setUp(t);
  const first = await start();
  for (let index = 0; index < CONNECTIONS; index += 1)
    await nango.registerConnection('keyed', String(index), { api_key: `key-${index}` });
  assert.equal((await keys('add')).code, 0);
  assert.equal(readFileSync(keyFile, 'utf8').trim().split('\n').length, 2);
  await first.stop();
  const second = await start();
  assert.equal((await read(7))['api_key'], 'key-7');

  // As a rotation leaves it that was killed half way: some rows have the new key.
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

test('keys check names what does not open, and where no database is', async (t) => {
  const { nango, start, keys, file } = await setUp(t);
  const none = await keys('check');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /There is no database/);
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
  assert.match(stderr, /1 values do not open/);
  assert.equal((await keys('rotate')).code, 0);
});

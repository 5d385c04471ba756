import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import Nango from '@nangohq/node-client';
import pg from 'pg';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { runCli, startServerProcess } from '../support/server-process.ts';
import { createCleanup, temporaryFolder } from '../support/temporary-folder.ts';

const INTEGRATIONS = `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/' }
  shop:
    auth: { auth_mode: USERNAME_PASSWORD }
    config: { region: { pattern: '[a-z]{2}' } }
    requests: { base_url: 'https://\${config.region}.example.com/' }
  oauth:
    oauth_client_id: id
    oauth_client_secret: secret
    oauth_scopes: []
    auth: { auth_mode: OAUTH2, authorization_url: 'https://a.example/a', token_url: 'https://a.example/t' }
    requests: { base_url: 'https://a.example/' }
`;

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

/** A Nango folder with its own data directory, and a way to run commands on it. */
async function setUp(t: TestContext, more: Record<string, string> = {}) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': INTEGRATIONS,
  });
  const dataDirectory = join(folder, 'data');
  const environment = {
    NANGO_SECRET_KEY: SECRET_KEY,
    NANGO_DATA_DIR: dataDirectory,
    NANGO_FOLDER: folder,
    NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
    ...more,
  };
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  const path = (name: string) => join(folder, name);
  return {
    nango,
    dataDirectory,
    path,
    start: () => startServerProcess(t, { folder, url, environment }),
    cli: (...parameters: string[]) => runCli(parameters, { environment }),
    write: (name: string, text: string) => {
      writeFileSync(path(name), text);
      return path(name);
    },
    keyOf: async (userId: string) => (await nango.getConnection('keyed', userId)).returnValue.credentials['api_key'],
  };
}

test('a backup is made and restored while the server runs, and the replaced database is kept', async (t) => {
  const { start, nango, cli, keyOf, path, dataDirectory } = await setUp(t);
  await start();
  await nango.registerConnection('keyed', '1', { api_key: 'first' });
  const made = await cli('backup', path('backup.db'));
  assert.deepEqual([made.code, made.stdout], [0, ''], made.stderr);
  assert.match(made.stderr, /contains 1 sealed connections/);
  assert.equal(statSync(path('backup.db')).mode & 0o777, 0o600);
  assert.ok(!readFileSync(path('backup.db')).includes('first'));
  await nango.updateConnectionCredentials('keyed', '1', { api_key: 'second' });
  await nango.registerConnection('keyed', '2', { api_key: 'later' });
  assert.deepEqual([await keyOf('1'), await keyOf('2')], ['second', 'later']);

  const restored = await cli('restore', path('backup.db'), '--json');
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal(await keyOf('1'), 'first');
  await assert.rejects(nango.getConnection('keyed', '2'), { type: 'connection_not_found' });
  await nango.registerConnection('keyed', '3', { api_key: 'new' });

  const { previous } = JSON.parse(restored.stdout) as { previous: string };
  assert.equal((await cli('restore', previous)).code, 0);
  assert.deepEqual([await keyOf('1'), await keyOf('2')], ['second', 'later']);
  assert.deepEqual(
    readdirSync(dataDirectory).filter((name) => /^restore-|partial/.test(name)),
    [],
  );
});

test('a backup overwrites nothing, and a restore accepts only a whole backup that opens with this key', async (t) => {
  const { start, nango, cli, keyOf, path, write } = await setUp(t);
  assert.match((await cli('backup', path('none.db'))).stderr, /The database .* does not exist/);
  await start();
  await nango.registerConnection('keyed', '1', { api_key: 'first' });
  await cli('backup', path('good.db'));
  assert.match((await cli('backup', path('good.db'))).stderr, /already exists\. Name a new file/);
  const damaged = readFileSync(path('good.db'));
  damaged.fill(7, 8_192, 12_288);
  writeFileSync(path('damaged.db'), damaged);
  write(
    'text.db',
    'this is no database, and it is long enough to have a header of a hundred bytes, or so it seems to me',
  );
  const other = await setUp(t, { NANGO_ENCRYPTION_KEY: randomBytes(32).toString('base64') });
  await other.start();
  await other.cli('backup', other.path('other.db'));
  for (const [file, expected] of [
    [path('absent.db'), /absent\.db does not exist/],
    [path('damaged.db'), /not a complete backup|could not be copied/],
    [path('text.db'), /not a complete backup|could not be copied/],
    [other.path('other.db'), /not the key that sealed this database/],
  ] as const) {
    const refused = await cli('restore', file);
    assert.equal(refused.code, 1, file);
    assert.match(refused.stderr, expected);
  }
  assert.equal(await keyOf('1'), 'first');
  const elsewhere = await setUp(t, { DATABASE_URL: 'postgresql://localhost:1/none' });
  assert.match((await elsewhere.cli('backup', elsewhere.path('b.db'))).stderr, /pg_dump/);
});

test('an export moves sealed connections from SQLite to PostgreSQL and back', async (t) => {
  const from = await setUp(t);
  await from.start();
  await from.nango.registerConnection('keyed', 'ä "1"\n', { api_key: 'first', plan: 'pro' }, { a: [1] });
  await from.nango.registerConnection('oauth', '2', {
    access_token: 'at',
    refresh_token: 'rt',
    expires_at: '2040-01-01',
  });
  const exported = await from.cli('export', from.path('out.jsonl'));
  assert.deepEqual([exported.code, exported.stdout], [0, ''], exported.stderr);
  assert.equal(statSync(from.path('out.jsonl')).mode & 0o777, 0o600);
  const text = readFileSync(from.path('out.jsonl'), 'utf8');
  assert.doesNotMatch(text, /first|"at"|"rt"/);
  assert.match((await from.cli('export', from.path('out.jsonl'))).stderr, /already exists\. Name a new file/);

  const to = await setUp(t, { DATABASE_URL: await postgres.createDatabase() });
  await to.start();
  const imported = await to.cli('import', from.path('out.jsonl'), '--json');
  assert.deepEqual([imported.code, imported.stdout], [0, '{"count":2,"stored":2,"faults":[]}\n'], imported.stderr);
  for (const [integration, userId] of [
    ['keyed', 'ä "1"\n'],
    ['oauth', '2'],
  ] as const) {
    const [before, moved] = await Promise.all([
      from.nango.getConnection(integration, userId),
      to.nango.getConnection(integration, userId),
    ]);
    assert.deepEqual(moved.returnValue, before.returnValue);
  }
  assert.deepEqual((await to.nango.getEvents()).returnValue.events, []);

  const back = await setUp(t);
  const piped = await to.cli('export');
  assert.equal((await back.cli('import', back.write('in.jsonl', piped.stdout))).code, 0);
  await back.start();
  assert.equal((await back.nango.getConnections()).returnValue.length, 2);

  const wrongKey = await setUp(t, { NANGO_ENCRYPTION_KEY: randomBytes(32).toString('base64') });
  const refused = await wrongKey.cli('import', from.path('out.jsonl'));
  assert.match(refused.stderr, /Nothing was imported[\s\S]*line 2: .*encryption key/);
});

test('credentials are exported in the clear only with the flag for that', async (t) => {
  const { start, nango, cli, path } = await setUp(t);
  await start();
  await nango.registerConnection('keyed', '1', { api_key: 'first' });
  const clear = await cli('export', '--clear-credentials');
  assert.match(clear.stderr, /in the clear/);
  assert.match(clear.stdout, /"credentials":\{"api_key":"first"/);
  const other = await setUp(t, { NANGO_ENCRYPTION_KEY: randomBytes(32).toString('base64') });
  writeFileSync(path('clear.jsonl'), clear.stdout);
  assert.equal((await other.cli('import', path('clear.jsonl'))).code, 0);
  await other.start();
  assert.equal(await other.keyOf('1'), 'first');
});

test('numbers of an imported list keep all their digits, also in an export in the clear', async (t) => {
  const { cli, write } = await setUp(t);
  const list = write(
    'list.json',
    '[{"integration":"keyed","userId":"1","credentials":{"api_key":"k","id":17841405793187219}}]',
  );
  assert.equal((await cli('import', list)).code, 0);
  const clear = (await cli('export', '--clear-credentials')).stdout;
  assert.match(clear, /"id":17841405793187219\b/);
  assert.equal((await cli('import', '--existing', 'replace', write('clear.jsonl', clear))).code, 0);
  assert.match((await cli('export', '--clear-credentials')).stdout, /"id":17841405793187219\b/);
});

test('JSON and CSV are imported while the server runs, and existing pairs are kept or replaced', async (t) => {
  const { start, nango, cli, write, keyOf } = await setUp(t);
  await start();
  const list = [
    { integration: 'keyed', userId: '1', credentials: { api_key: 'one' } },
    {
      integration: 'shop',
      userId: '1',
      credentials: { username: 'u', password: 'p' },
      additionalConfig: { region: 'eu' },
    },
  ];
  const json = write('list.json', JSON.stringify(list, null, 2));
  assert.match((await cli('import', json, '--dry-run')).stderr, /2 connections can be imported/);
  assert.deepEqual((await nango.getConnections()).returnValue, []);
  assert.equal((await cli('import', json)).code, 0);
  assert.equal(await keyOf('1'), 'one');
  const csv = write(
    'more.csv',
    '\uFEFFintegration,userId,api_key,username,password,config.region\r\n' +
      'keyed,1,"changed, once",,,\r\nkeyed,2,two,,,\r\nshop,2,,u2,p2,de\r\n',
  );
  const refused = await cli('import', csv);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /Nothing was imported[\s\S]*line 2: the user already has a connection to this Integration/,
  );
  assert.match((await cli('import', csv, '--existing', 'skip')).stderr, /2 of 3 connections imported/);
  assert.equal(await keyOf('1'), 'one');
  assert.match((await cli('import', csv, '--existing', 'replace')).stderr, /3 of 3/);
  // The server is notified, although it has cached the connection.
  assert.equal(await keyOf('1'), 'changed, once');
  const shop = (await nango.getConnection('shop', '2')).returnValue;
  assert.deepEqual([shop.additionalConfig, shop.credentials['username']], [{ region: 'de' }, 'u2']);
});

test('every error of a file to import is listed with its line, and nothing is stored', async (t) => {
  const { start, nango, cli, write } = await setUp(t);
  await start();
  const list = [
    { integration: 'keyed', userId: '1', credentials: { api_key: 'CANARY' } },
    { integration: 'keyd', userId: '1', credentials: { api_key: 'CANARY' } },
    { integration: 'keyed', userId: '', credentials: { api_key: 'CANARY' } },
    { integration: 'keyed', userId: '2', credentials: { key: 'CANARY' } },
    {
      integration: 'shop',
      userId: '2',
      credentials: { username: 'u', password: 'p' },
      additionalConfig: { region: 'E/' },
    },
    { integration: 'keyed', userId: '1', credentials: { api_key: 'CANARY' } },
    { integration: 'keyed', userId: '3', credential: {} },
    7,
  ];
  const refused = await cli('import', write('bad.json', JSON.stringify(list)));
  assert.equal(refused.code, 1);
  for (const part of [
    /line 2: .*no integration "keyd".*Did you mean "keyed"/,
    /line 3: .*must not be empty/,
    /line 4: credentials: .*api_key/,
    /line 5: .*region/,
    /line 6: line 1 has the same connection/,
    /line 7: .*credential/,
    /line 8: /,
  ])
    assert.match(refused.stderr, part);
  assert.doesNotMatch(refused.stderr, /line 1:|CANARY/);
  for (const [name, text] of [
    ['text.json', 'no json at all'],
    ['broken.jsonl', '{"nango_export":1,"credentials":"clear","exported_at":"2030-01-01T00:00:00.000Z"}\n{"uuid":'],
    ['ragged.csv', 'integration,userId,api_key\nkeyed,1\n'],
    ['object.json', '[{"integration":"keyed"'],
  ] as const) {
    const broken = await cli('import', write(name, text));
    assert.equal(broken.code, 1, name);
    assert.match(broken.stderr, /not JSON|cannot be read/, name);
  }
  for (const path of ['/nowhere.json', '/nowhere.csv', import.meta.dirname])
    assert.match((await cli('import', path)).stderr, /^✗ \S+ cannot be read: [^\n]+\n$/, path);
  assert.deepEqual((await nango.getConnections()).returnValue, []);
});

test('S1: the encryption key comes from a file or an unwrapping command, and from one place only', async (t) => {
  const folder = temporaryFolder(t);
  const wrapped = wrapKey(Buffer.from(ENCRYPTION_KEY, 'base64'));
  // The command does the work of a key management service, which keeps the master key.
  writeFileSync(join(folder, 'unwrap.mjs'), wrapped.unwrapScript);
  writeFileSync(join(folder, 'key'), `${ENCRYPTION_KEY}\n`);
  const command = `"${process.execPath}" "${join(folder, 'unwrap.mjs')}" ${wrapped.text}`;
  const plain = await setUp(t);
  const server = await plain.start();
  await plain.nango.registerConnection('keyed', '1', { api_key: 'first' });
  await server.stop();
  const place = { NANGO_DATA_DIR: plain.dataDirectory, NANGO_ENCRYPTION_KEY: '' };
  for (const source of [
    { NANGO_ENCRYPTION_KEY_FILE: join(folder, 'key') },
    { NANGO_ENCRYPTION_KEY_COMMAND: command },
  ]) {
    const other = await setUp(t, { ...place, ...source });
    const running = await other.start();
    assert.equal(await other.keyOf('1'), 'first');
    assert.ok(!existsSync(join(plain.dataDirectory, 'encryption.key')));
    await running.stop();
  }
  const failing = (environment: Record<string, string>) =>
    setUp(t, { ...place, ...environment }).then(({ cli }) => cli('start'));
  const refused = await failing({ NANGO_ENCRYPTION_KEY_COMMAND: 'echo CANARY; echo "access denied" >&2; exit 3' });
  assert.match(refused.stderr, /NANGO_ENCRYPTION_KEY_COMMAND failed \(exit code 3\): access denied/);
  const wrong = await failing({ NANGO_ENCRYPTION_KEY_COMMAND: 'echo CANARY' });
  assert.match(wrong.stderr, /NANGO_ENCRYPTION_KEY_COMMAND must hold 32 random bytes/);
  for (const { code, stderr } of [refused, wrong]) {
    assert.equal(code, 1);
    assert.doesNotMatch(stderr, /CANARY/);
  }
  assert.match((await failing({ NANGO_ENCRYPTION_KEY_FILE: join(folder, 'absent') })).stderr, /cannot be read/);
  const twice = await failing({ NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY, NANGO_ENCRYPTION_KEY_FILE: join(folder, 'key') });
  assert.match(twice.stderr, /set more than once: NANGO_ENCRYPTION_KEY and/);
});

/** Wraps a key with a master key that only the unwrapping script has. */
function wrapKey(key: Buffer): { text: string; unwrapScript: string } {
  const master = randomBytes(32);
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', master, iv);
  const text = Buffer.concat([iv, cipher.update(key), cipher.final(), cipher.getAuthTag()]).toString('base64url');
  const unwrapScript = `import { createDecipheriv } from 'node:crypto';
const bytes = Buffer.from(process.argv[2], 'base64url');
const master = Buffer.from('${master.toString('base64')}', 'base64');
const decipher = createDecipheriv('aes-256-gcm', master, bytes.subarray(0, 12));
decipher.setAuthTag(bytes.subarray(-16));
console.log(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('base64'));`;
  return { text, unwrapScript };
}

test('S1: after a dry run or a rejected import with a wrong key, an empty database accepts any key', async (t) => {
  const database = { DATABASE_URL: await postgres.createDatabase() };
  const wrong = await setUp(t, { ...database, NANGO_ENCRYPTION_KEY: randomBytes(32).toString('base64') });
  const good = wrong.write('good.json', '[{"integration":"keyed","userId":"1","credentials":{"api_key":"k"}}]');
  const bad = wrong.write('bad.json', '[{"integration":"keyd","userId":"1","credentials":{"api_key":"k"}}]');
  const rehearsed = await wrong.cli('import', good, '--dry-run');
  assert.deepEqual([rehearsed.code, rehearsed.stderr], [0, '✓ 1 connections can be imported.\n']);
  assert.match((await wrong.cli('import', bad)).stderr, /no integration "keyd"/);
  for (const parameters of [['export'], ['keys', 'check'], ['keys', 'rotate']]) {
    const refused = await wrong.cli(...parameters);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /The database is empty, because no server has used it yet/);
  }
  const client = new pg.Client(database.DATABASE_URL);
  await client.connect();
  const tables = await client.query(`select 1 from information_schema.tables where table_schema = 'public'`);
  await client.end();
  assert.equal(tables.rowCount, 0);

  const right = await setUp(t, database);
  await right.start();
  const locked = await wrong.cli('import', good, '--dry-run');
  assert.equal(locked.code, 1);
  assert.match(locked.stderr, /not the key that sealed this database/);
  assert.equal((await right.cli('import', good)).code, 0);
  assert.equal(await right.keyOf('1'), 'k');
});

test('reading commands and dry runs make no file if the embedded store is missing', async (t) => {
  const { cli, write, dataDirectory, path } = await setUp(t, { NANGO_ENCRYPTION_KEY: '' });
  const file = write('list.json', '[{"integration":"keyed","userId":"1","credentials":{"api_key":"k"}}]');
  assert.match((await cli('import', file, '--dry-run')).stderr, /1 connections can be imported/);
  for (const parameters of [['export'], ['keys', 'check'], ['keys', 'rotate'], ['backup', path('b.db')]])
    assert.match((await cli(...parameters)).stderr, /The database .* does not exist/);
  assert.ok(!existsSync(dataDirectory));
  assert.equal((await cli('import', file)).code, 0);
  assert.ok(existsSync(join(dataDirectory, 'encryption.key')));
});

test('reading commands reject a database of an earlier version, and do not change it', async (t) => {
  const { cli, start, dataDirectory } = await setUp(t);
  await (await start()).stop();
  const undo = new DatabaseSync(join(dataDirectory, 'nango.db'));
  const last = `select name from nango_expansions order by name desc limit 1`;
  undo.exec(`delete from nango_expansions where name = (${last})`);
  const before = undo.prepare(last).get()?.['name'];
  for (const parameters of [['export'], ['keys', 'check']])
    assert.match((await cli(...parameters)).stderr, /An earlier version wrote this database.*Start a server/);
  assert.equal(undo.prepare(last).get()?.['name'], before);
  undo.close();
});

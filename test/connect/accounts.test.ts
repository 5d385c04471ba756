import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test, type TestContext } from 'node:test';
import Nango from '@nangohq/node-client';
import { listen } from '../support/listen.ts';
import { SECRET_KEY, startTestServer, type TestServerOptions } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createCleanup } from '../support/temporary-folder.ts';

/** A server with an API that responds with the key it was called with. */
async function start(t: TestContext, options: Partial<TestServerOptions> = {}) {
  const api = createServer((request, response) => response.end(request.headers['x-key']));
  const apiUrl = `http://localhost:${await listen(t, api)}/`;
  const mode = `auth: { auth_mode: API_KEY }
    requests: { base_url: '${apiUrl}', headers: { X-Key: '\${api_key}' } }`;
  return startTestServer(t, {
    integrations: `integrations:\n  mail:\n    ${mode}\n  other:\n    ${mode}\n`,
    files: {
      'mail/key.action.ts': `import { NangoAction } from '@nangohq/action';
class MailKeyAction extends NangoAction {
  async executeAction() {
    const { id, account } = await this.getCurrentConnection();
    return [id, account, (await this.httpRequest('', 'GET')).data];
  }
}
export { MailKeyAction };
`,
    },
    ...options,
  });
}

const WORK = { integration: 'mail', userId: '1', account: 'work' };

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

for (const [store, databaseUrlOf] of [
  ['SQLite', async () => undefined],
  ['PostgreSQL', () => postgres.createDatabase()],
] as const) {
  describe(`accounts on ${store}`, () => {
    test('each call reaches the account that it names, by its key or its id', async (t) => {
      const { nango, url } = await start(t, { databaseUrl: await databaseUrlOf() });
      const ids = new Map<string, string>();
      for (const account of ['default', 'work', 'a/b', 'ü %2f"'])
        ids.set(
          account,
          (await nango.registerConnection({ ...WORK, account }, { api_key: `key-${account}` })).returnValue.id,
        );
      for (const [account, connectionId] of ids) {
        const key = `key-${account}`;
        const references = [{ ...WORK, account }, { connectionId }, { connectionId, integration: 'mail' }];
        for (const reference of references) {
          const connection = (await nango.getConnection(reference)).returnValue;
          assert.deepEqual(
            [connection.id, connection.account, connection.credentials['api_key']],
            [connectionId, account, key],
          );
          assert.equal((await nango.request(reference, { endpoint: '' })).returnValue.data, key);
        }
        for (const user of [{ userId: '1', account }, { connectionId }])
          assert.deepEqual((await nango.triggerAction('mail', 'key', user)).returnValue, [connectionId, account, key]);
        for (const named of [
          { 'nango-connection-id': connectionId },
          { 'nango-integration': 'mail', 'nango-user-id': '1', 'nango-account': encodeURIComponent(account) },
        ]) {
          const headers = { authorization: `Bearer ${SECRET_KEY}`, ...named };
          assert.equal(await (await fetch(`${url}/proxy/`, { headers })).text(), key);
        }
      }
      const [, account] = (await nango.triggerAction<string[]>('mail', 'key', '1')).returnValue;
      assert.equal(account, 'default');
      const listed = (await nango.getConnectionsForUserId('1')).returnValue.map(({ account }) => account);
      assert.deepEqual(listed.toSorted(), [...ids.keys()].toSorted());
    });

    test('no account is chosen silently: without a default one, the error names the others', async (t) => {
      const { nango } = await start(t, { databaseUrl: await databaseUrlOf() });
      await assert.rejects(nango.getConnection('mail', '1'), { type: 'connection_not_found' });
      const { id } = (await nango.registerConnection(WORK, { api_key: 'w' })).returnValue;
      for (const call of [
        () => nango.getConnection('mail', '1'),
        () => nango.request('mail', '1', { endpoint: '' }),
        () => nango.deleteConnection('mail', '1'),
        () => nango.updateConnectionConfig('mail', '1', {}),
        () => nango.updateConnectionCredentials('mail', '1', { api_key: 'x' }),
        () => nango.triggerAction('mail', 'key', '1'),
      ])
        await assert.rejects(call, (error: { type: string; status: number; message: string }) => {
          assert.deepEqual([error.type, error.status], ['ambiguous_connection', 409]);
          assert.ok(error.message.includes(`"work" (${id})`));
          return true;
        });
      await assert.rejects(nango.getConnection({ ...WORK, account: 'home' }), { type: 'connection_not_found' });
      await nango.deleteConnection({ connectionId: id });
      await assert.rejects(nango.getConnection('mail', '1'), { type: 'connection_not_found' });
    });

    test('an id of another Integration is refused everywhere, before and after it is cached', async (t) => {
      const server = await start(t, { databaseUrl: await databaseUrlOf() });
      const { nango, url } = server;
      const { id: connectionId } = (await nango.registerConnection('other', '1', { api_key: 'o' })).returnValue;
      for (const isCached of [false, true]) {
        if (isCached) await nango.getConnection({ connectionId });
        const reference = { connectionId, integration: 'mail' };
        for (const call of [
          () => nango.getConnection(reference),
          () => nango.request(reference, { endpoint: '' }),
          () => nango.deleteConnection(reference),
          () => nango.triggerAction('mail', 'key', { connectionId }),
        ])
          await assert.rejects(call, { type: 'connection_not_found' }, String(isCached));
        const headers = {
          authorization: `Bearer ${SECRET_KEY}`,
          'nango-connection-id': connectionId,
          'nango-integration': 'mail',
        };
        assert.equal((await fetch(`${url}/proxy/`, { headers })).status, 404);
      }
      const both = await server.api('GET', `/api/connection?connectionId=${connectionId}&integration=other&userId=1`);
      assert.equal(both.status, 400);
    });
  });
}

test('the server names new accounts, and a user has at most max_accounts_per_user', async (t) => {
  const { nango } = await start(t, { config: 'max_accounts_per_user: 3\n' });
  const user = { integration: 'mail', userId: '1' };
  const accounts = new Set<string>();
  for (let count = 0; count < 3; count += 1)
    accounts.add((await nango.registerConnection({ ...user, newAccount: true }, { api_key: 'x' })).returnValue.account);
  assert.equal(accounts.size, 3);
  await assert.rejects(nango.registerConnection({ ...user, newAccount: true }, { api_key: 'x' }), {
    type: 'too_many_accounts',
    status: 409,
  });
  await assert.rejects(nango.registerConnection({ ...user, account: 'more' }, { api_key: 'x' }), {
    type: 'too_many_accounts',
  });
  await nango.registerConnection({ ...user, userId: '2' }, { api_key: 'x' });
  const [existing = ''] = accounts;
  await nango.updateConnectionCredentials({ ...user, account: existing }, { api_key: 'y' });
});

test('a session permits the default account, unless the back end names another one', async (t) => {
  const server = await start(t);
  const { nango } = server;
  const connect = async (token: string, body: object) => {
    const headers = { authorization: `Bearer ${token}`, origin: 'https://app.example.com' };
    const credentials = { api_key: 'k' };
    return server.api('POST', '/oauth/attempts', { integration: 'mail', userId: '1', credentials, ...body }, headers);
  };
  const plain = (await nango.createConnectSession({ userId: '1' })).returnValue;
  assert.equal(plain.account, 'default');
  for (const body of [{ account: 'work' }, { newAccount: true }])
    assert.equal((await connect(plain.token, body)).status, 403);
  const work = (await nango.createConnectSession({ userId: '1', account: 'work' })).returnValue;
  for (const body of [{ account: 'default' }, { account: 'home' }, { newAccount: true }])
    assert.equal((await connect(work.token, body)).status, 403);
  for (const body of [{}, { account: 'work' }]) assert.equal((await connect(work.token, body)).status, 201);
  const fresh = (await nango.createConnectSession({ userId: '1', newAccount: true })).returnValue;
  for (const body of [{}, { newAccount: true }, { account: fresh.account }]) {
    const attempt = await connect(fresh.token, body);
    assert.deepEqual([attempt.status, (attempt.body as { account: string }).account], [201, fresh.account]);
  }
  const accounts = (await nango.getConnectionsForUserId('1')).returnValue.map(({ account }) => account);
  assert.deepEqual(accounts.toSorted(), [fresh.account, 'work'].toSorted());
});

test('S2: credentials of two accounts that are exchanged in the database do not open', async (t) => {
  const { nango, dataDirectory, running } = await start(t);
  const names = ['default', 'work', 'home'];
  for (const account of names) await nango.registerConnection({ ...WORK, account }, { api_key: `key-${account}` });
  await running.close();
  const database = new DatabaseSync(join(dataDirectory, 'nango.db'));
  // One attacker exchanges the sealed credentials, another the names of the accounts.
  const sealed = (account: string) =>
    database.prepare('select sealed_credentials as s from connections where account = ?').get(account)?.['s'];
  const [ofDefault = null, ofWork = null] = [sealed('default'), sealed('work')];
  const write = database.prepare('update connections set sealed_credentials = ? where account = ?');
  write.run(ofWork, 'default');
  write.run(ofDefault, 'work');
  database.exec(`update connections set account = 'renamed' where account = 'home'`);
  database.close();
  const again = await startTestServer(t, {
    integrations:
      'integrations:\n  mail:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: https://a.example/ }\n',
    dataDirectory,
  });
  for (const account of ['default', 'work', 'renamed'])
    await assert.rejects(again.nango.getConnection({ ...WORK, account }), { type: 'credentials_unreadable' }, account);
});

test('events, the call log and the audit log name the account', async (t) => {
  const server = await start(t);
  const { nango } = server;
  const { id } = (await nango.registerConnection(WORK, { api_key: 'w' })).returnValue;
  await nango.registerConnection('mail', '1', { api_key: 'd' });
  await nango.request({ connectionId: id }, { endpoint: '' });
  await nango.request('mail', '1', { endpoint: '' });
  const { events } = (await nango.getEvents()).returnValue;
  assert.deepEqual(
    events.map(({ data }) => [data.account, data.id === id, data.uuid === data.id]),
    [
      ['work', true, true],
      ['default', false, true],
    ],
  );
  const lines = server
    .log()
    .split('\n')
    .filter((line) => line.includes('"msg":"api call"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map(({ userId, account, connection }) => [userId, account, connection === id]),
    [
      ['1', 'work', true],
      ['1', undefined, false],
    ],
  );
  await nango.deleteConnection(WORK);
  await assert.rejects(nango.deleteConnection({ connectionId: id }));
  const audited = server
    .log()
    .split('\n')
    .filter((line) => line.includes('"action":"connection.delete"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    audited.map(({ userId, account, connection, status }) => [userId, account, connection, status]),
    [
      ['1', 'work', undefined, 204],
      [undefined, undefined, id, 404],
    ],
  );
});

test('D3: hostile names of accounts are refused, or they are data', async (t) => {
  const server = await start(t);
  const { nango } = server;
  for (const account of ['', '\0', '\ud800', 'a'.repeat(101), 'x'.repeat(100_000)]) {
    const body = { ...WORK, account, credentials: { api_key: 'k' } };
    assert.equal(
      (await server.api('POST', '/api/connections', body)).status,
      400,
      JSON.stringify(account).slice(0, 40),
    );
    const query = new URLSearchParams({ ...WORK, account });
    if (account.length < 1_000 && account !== '\ud800')
      assert.equal((await server.api('GET', `/api/connection?${query.toString()}`)).status, 400);
  }
  for (const connectionId of ['', 'x', '__proto__', '../..', '0'.repeat(100_000)])
    assert.equal((await server.api('POST', '/api/request', { connectionId, endpoint: '' })).status, 400);
  for (const account of ['__proto__', 'constructor', '..', '%2f', '"', "'; drop table connections; --"]) {
    await nango.registerConnection({ ...WORK, account }, { api_key: account });
    const { credentials } = (await nango.getConnection({ ...WORK, account })).returnValue;
    assert.equal(credentials['api_key'], account);
  }
});

test('a request that comes from elsewhere cannot name another connection than the application does', async (t) => {
  const { nango } = await start(t);
  const { id: connectionId } = (await nango.registerConnection(WORK, { api_key: 'of work' })).returnValue;
  await nango.registerConnection('mail', '1', { api_key: 'of default' });
  for (const names of [{ account: 'work' }, { connectionId }, { userId: '2' }, { integration: 'other' }]) {
    const request = { endpoint: '', ...names };
    assert.equal((await nango.request('mail', '1', request)).returnValue.data, 'of default');
  }
});

test('the client refuses references that name no connection, before a request', async () => {
  const nango = new Nango({ serverUrl: 'http://localhost:1', secretKey: 'k' });
  const hostile = [
    {},
    { integration: 'mail' },
    { userId: '1' },
    { connectionId: '' },
    { ...WORK, account: 7 },
    null,
    7,
  ];
  for (const reference of hostile)
    await assert.rejects(nango.getConnection(reference as never), { type: 'invalid_input' }, JSON.stringify(reference));
});

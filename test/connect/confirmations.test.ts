import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { SECRET_KEY, startTestServer, type TestServerOptions } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { createCleanup } from '../support/temporary-folder.ts';
import { attemptResult, UserAgent } from '../support/user-agent.ts';

const DONE = 'https://app.example.com/done';
const REALM = `      config_from_callback: { realm_id: realmId }
      identity: { user: user.id, name: user.email }
      revocation_url: URL/revoke`;
const KEYED = `
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://api.example/' }
`;

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

async function start(t: TestContext, options: Partial<TestServerOptions> = {}) {
  const provider = await startScriptedProvider(t, ({ form }) => ({
    body: {
      access_token: `at-CANARY-${form.get('code')}`,
      token_type: 'bearer',
      user: { id: 'u-1', email: 'ada@example.com' },
    },
  }));
  const auth = REALM.replace('URL', provider.url);
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url, { auth })}${KEYED}`,
    config: `allowed_redirect_urls: ['${DONE}']\n`,
    ...options,
  });
  const { nango } = server;

  async function createLink(request: object = {}) {
    const session = { userId: '1', integrations: ['acme'], redirectUrl: DONE, confirm: true, ...request };
    const { connectUrl, token } = (await nango.createConnectSession(session)).returnValue;
    return { connectUrl: connectUrl ?? '', token };
  }

  /** Clicks the button of a link, and ends at the callback. Resolves to where the browser goes. */
  async function open(connectUrl: string, callback = 'code=c') {
    const agent = new UserAgent();
    const response = await agent.request(connectUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: server.url },
      body: '{"integration":"acme"}',
    });
    const { authorizationUrl } = (await response.json()) as { authorizationUrl: string };
    return end(agent, authorizationUrl, callback);
  }

  async function end(agent: UserAgent, authorizationUrl: string, callback = 'code=c') {
    const state = new URL(authorizationUrl).searchParams.get('state');
    const { headers } = await agent.request(`${server.url}/oauth/callback?state=${state}&${callback}&realmId=7`);
    const location = headers.get('location') ?? '';
    return { location, code: URL.parse(location)?.searchParams.get('nango_code') ?? '' };
  }
  const connections = async () => (await nango.getConnections()).returnValue;
  return { server, nango, provider, createLink, open, end, connections };
}

for (const [store, databaseUrlOf] of [
  ['SQLite', async () => undefined],
  ['PostgreSQL', () => postgres.createDatabase()],
] as const) {
  describe(`confirm on ${store}`, () => {
    test('nothing is stored until the back end confirms the user; then everything is', async (t) => {
      const { nango, server, createLink, open, connections } = await start(t, { databaseUrl: await databaseUrlOf() });
      const { connectUrl } = await createLink({ tags: { plan: 'pro' } });
      const { location, code } = await open(connectUrl);
      assert.match(location, /^https:\/\/app\.example\.com\/done\?nango_code=[\w-]{43}$/);
      assert.deepEqual(await connections(), []);
      assert.equal((await fetch(connectUrl)).status, 200);
      const confirmed = (await nango.confirmConnection({ code, userId: '1' })).returnValue;
      const connection = (await nango.getConnection({ connectionId: confirmed.connectionId })).returnValue;
      assert.deepEqual(
        [connection.credentials['access_token'], connection.additionalConfig, connection.tags],
        ['at-CANARY-c', { realm_id: '7' }, { plan: 'pro' }],
      );
      assert.deepEqual(confirmed, {
        connectionId: connection.id,
        integration: 'acme',
        userId: '1',
        account: 'default',
      });
      assert.equal(connection.identity?.name, 'ada@example.com');
      assert.equal((await fetch(connectUrl)).status, 410);
      await assert.rejects(nango.confirmConnection({ code, userId: '1' }), { type: 'invalid_code' });
      assert.match(server.log(), /"action":"connection.confirm".*"status":200/);
    });

    test('D9: another user is refused, nothing is stored, and the grant is revoked', async (t) => {
      const { nango, server, provider, createLink, open, connections } = await start(t, {
        databaseUrl: await databaseUrlOf(),
      });
      const { connectUrl } = await createLink({ userId: 'mallory' });
      const { code } = await open(connectUrl);
      await assert.rejects(nango.confirmConnection({ code, userId: 'victim' }), { type: 'forbidden', status: 403 });
      await assert.rejects(nango.confirmConnection({ code, userId: 'mallory' }), { type: 'invalid_code' });
      assert.deepEqual(await connections(), []);
      assert.equal(provider.requests.filter(({ path }) => path === '/revoke').length, 1);
      assert.match(server.log(), /"action":"connection.confirm".*"status":403/);
    });

    test('of two confirmations at once, and of two attempts of one link, one stores', async (t) => {
      const { nango, createLink, open, connections } = await start(t, { databaseUrl: await databaseUrlOf() });
      const { connectUrl } = await createLink();
      const first = await open(connectUrl);
      const second = await open(connectUrl, 'code=other');
      const both = await Promise.allSettled([
        nango.confirmConnection({ code: first.code, userId: '1' }),
        nango.confirmConnection({ code: first.code, userId: '1' }),
      ]);
      assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
      await assert.rejects(nango.confirmConnection({ code: second.code, userId: '1' }), { status: 410 });
      assert.equal((await connections()).length, 1);
      assert.equal((await nango.getConnection('acme', '1')).returnValue.credentials['access_token'], 'at-CANARY-c');
    });
  });
}

test('a code expires after ten minutes', async (t) => {
  let now = Date.now();
  const { nango, createLink, open, connections } = await start(t, { now: () => now });
  const { connectUrl } = await createLink({ expiresInSeconds: 3600 });
  const late = await open(connectUrl);
  now += 600_001;
  await assert.rejects(nango.confirmConnection({ code: late.code, userId: '1' }), { type: 'invalid_code' });
  const inTime = await open(connectUrl);
  now += 599_000;
  await nango.confirmConnection({ code: inTime.code, userId: '1' });
  assert.equal((await connections()).length, 1);
});

test('a popup’s attempt waits for the confirmation, too, and the page learns of it', async (t) => {
  const { server, nango, createLink, end } = await start(t);
  const { token } = await createLink();
  const body = { integration: 'acme', userId: '1' };
  const authorization = `Bearer ${token}`;
  const begun = (await server.api('POST', '/oauth/attempts', body, { authorization })).body as {
    attempt: string;
    connectUrl: string;
  };
  const agent = new UserAgent();
  const { code, location } = await end(agent, await agent.confirm(begun.connectUrl));
  assert.ok(location.startsWith(DONE));
  assert.equal((await attemptResult(server.url, begun.attempt)).status, 'pending');
  const redeemed = await server.api('POST', `/oauth/attempts/${begun.attempt}/result`, { code });
  assert.equal((redeemed.body as { error: { type: string } }).error.type, 'invalid_state');
  await nango.confirmConnection({ code, userId: '1' });
  assert.equal((await attemptResult(server.url, begun.attempt)).status, 'succeeded');
});

test('a user who refuses stays on our page, and there is nothing to confirm', async (t) => {
  const { createLink, open } = await start(t);
  const { connectUrl } = await createLink();
  assert.equal((await open(connectUrl, 'error=access_denied')).location, '');
  assert.match((await open(connectUrl)).location, /nango_code=/);
});

test('confirm needs a redirectUrl, and an authorization in a browser', async (t) => {
  const { server, nango, connections } = await start(t);
  await assert.rejects(nango.createConnectSession({ userId: '1', confirm: true }), { type: 'invalid_request' });
  const session = { userId: '1', redirectUrl: DONE, confirm: true };
  const { token } = (await nango.createConnectSession(session)).returnValue;
  const body = { integration: 'keyed', userId: '1', credentials: { api_key: 'k' } };
  const { body: refused } = await server.api('POST', '/oauth/attempts', body, { authorization: `Bearer ${token}` });
  assert.equal((refused as { error: { type: string } }).error.type, 'unsupported_auth_mode');
  assert.deepEqual(await connections(), []);
});

test('a confirmation needs the scope connect, and hostile codes are refused', async (t) => {
  const { server } = await start(t, {
    config: `allowed_redirect_urls: ['${DONE}']
secret_keys:
  proxy: { key: '\${PROXY_KEY}', scopes: [proxy] }
  connect: { key: '\${CONNECT_KEY}', scopes: [connect] }
`,
    environment: { PROXY_KEY: 'p'.repeat(40), CONNECT_KEY: 'c'.repeat(40) },
  });
  const confirm = async (key: string, body: object) =>
    (await server.api('POST', '/api/connect-confirmations', body, { authorization: `Bearer ${key}` })).status;
  assert.equal(await confirm('p'.repeat(40), { code: 'x', userId: '1' }), 403);
  assert.equal(await confirm('c'.repeat(40), { code: 'x', userId: '1' }), 400);
  for (const code of ['', '\0', '__proto__', "' or 1=1", 'x'.repeat(100_000), 7, null, ['x']])
    assert.equal(await confirm(SECRET_KEY, { code, userId: '1' }), 400);
});

test('S6: what waits to be confirmed is sealed, and the code is nowhere', async (t) => {
  const { server, nango, createLink, open } = await start(t);
  const { connectUrl } = await createLink();
  const { code } = await open(connectUrl);
  const files = ['nango.db', 'nango.db-wal'].map((name) => readFileSync(join(server.dataDirectory, name), 'latin1'));
  for (const text of [...files, server.log()])
    for (const secret of [code, 'CANARY-c']) assert.ok(!text.includes(secret));
  await nango.confirmConnection({ code, userId: '1' });
  assert.ok(!server.log().includes(code));
});

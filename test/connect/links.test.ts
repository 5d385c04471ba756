import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { startTestServer, type TestServer, type TestServerOptions } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { createCleanup } from '../support/temporary-folder.ts';
import { UserAgent } from '../support/user-agent.ts';

const KEYED = `
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://api.example/' }
`;
const REGION = `    config:
      region: {}
`;
const DAY_SECONDS = 86_400;

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

/** A server whose provider accepts every code, except `refused`. */
async function start(t: TestContext, options: Partial<TestServerOptions> = {}) {
  const provider = await startScriptedProvider(t, ({ form }) =>
    form.get('code') === 'refused'
      ? { status: 400, body: { error: 'invalid_grant' } }
      : { body: { access_token: `at-${form.get('code')}`, token_type: 'bearer' } },
  );
  const acme = scriptedIntegration(provider.url);
  const mail = scriptedIntegration(provider.url, { name: 'mail' });
  const shop = scriptedIntegration(provider.url, { name: 'shop', settings: REGION });
  return startTestServer(t, { integrations: `integrations:${acme}${mail}${shop}${KEYED}`, ...options });
}

async function createLink({ nango }: TestServer, request: object = {}) {
  const session = { userId: '1', integrations: ['acme'], ...request };
  const { connectUrl, ...rest } = (await nango.createConnectSession(session)).returnValue;
  assert.ok(connectUrl !== null);
  return { ...rest, connectUrl };
}

/** Clicks the button of a link’s page. */
async function click(agent: UserAgent, connectUrl: string, { integration = 'acme', origin = '' } = {}) {
  const response = await agent.request(connectUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: origin || new URL(connectUrl).origin },
    body: JSON.stringify({ integration }),
  });
  const body = (await response.json()) as { authorizationUrl?: string; error?: { type: string; message: string } };
  const { searchParams } = new URL(body.authorizationUrl ?? 'about:blank');
  return { status: response.status, error: body.error, state: searchParams.get('state') ?? '' };
}

const finish = ({ url }: TestServer, agent: UserAgent, { state, code = 'c' }: { state: string; code?: string }) =>
  agent.request(`${url}/oauth/callback?state=${state}&code=${code}`);

async function connect(server: TestServer, connectUrl: string, code = 'c') {
  const agent = new UserAgent();
  const { state, error } = await click(agent, connectUrl);
  assert.equal(error, undefined);
  return (await finish(server, agent, { state, code })).status;
}

const statusOf = async (url: string) => (await fetch(url)).status;

for (const [store, databaseUrlOf] of [
  ['SQLite', async () => undefined],
  ['PostgreSQL', () => postgres.createDatabase()],
] as const) {
  describe(`links on ${store}`, () => {
    test('a link connects once to success, with retries until then', async (t) => {
      const server = await start(t, { databaseUrl: await databaseUrlOf() });
      const { connectUrl } = await createLink(server, { tags: { plan: 'pro' } });
      assert.equal(await connect(server, connectUrl, 'refused'), 400);
      assert.equal(await statusOf(connectUrl), 200);
      assert.equal(await connect(server, connectUrl), 200);
      const { credentials, tags } = (await server.nango.getConnection('acme', '1')).returnValue;
      assert.deepEqual([credentials['access_token'], tags], ['at-c', { plan: 'pro' }]);
      const page = await fetch(connectUrl);
      assert.equal(page.status, 410);
      assert.match(await page.text(), /An account was connected with this link/);
      const again = await click(new UserAgent(), connectUrl);
      assert.deepEqual([again.status, again.error?.type], [410, 'invalid_link']);
    });

    test('of two attempts of one link that complete at once, one connects', async (t) => {
      const server = await start(t, { databaseUrl: await databaseUrlOf() });
      for (const integrations of [['acme'], ['acme', 'mail']]) {
        const userId = integrations.join();
        const { connectUrl } = await createLink(server, { userId, integrations });
        const agents = [new UserAgent(), new UserAgent()] as const;
        const [first, second] = await Promise.all([
          click(agents[0], connectUrl),
          click(agents[1], connectUrl, { integration: integrations.at(-1) ?? '' }),
        ]);
        const ended = await Promise.all([
          finish(server, agents[0], { state: first.state, code: 'one' }),
          finish(server, agents[1], { state: second.state, code: 'two' }),
        ]);
        assert.deepEqual(ended.map(({ status }) => status).toSorted(), [200, 400]);
        const refused = ended.find(({ status }) => status === 400);
        assert.match((await refused?.text()) ?? '', /This link has made another connection.*invalid_link/s);
        const [connection, ...others] = (await server.nango.getConnectionsForUserId(userId)).returnValue;
        assert.deepEqual(others, []);
        const { integration = '' } = connection ?? {};
        const { credentials } = (await server.nango.getConnection(integration, userId)).returnValue;
        assert.equal(credentials['access_token'], ended[0]?.status === 200 ? 'at-one' : 'at-two');
      }
    });

    test('a link lives for a week, and the token for a day', async (t) => {
      let now = Date.now();
      const server = await start(t, { databaseUrl: await databaseUrlOf(), now: () => now });
      const begun = now;
      const { connectUrl, connectUrlExpiresAt, token, expiresAt } = await createLink(server, {
        expiresInSeconds: 7 * DAY_SECONDS,
      });
      const lives = [expiresAt, connectUrlExpiresAt ?? ''].map((time) => Math.round((Date.parse(time) - begun) / 1000));
      assert.deepEqual(lives, [DAY_SECONDS, 7 * DAY_SECONDS]);
      const useToken = async () =>
        (
          await server.api(
            'POST',
            '/oauth/attempts',
            { integration: 'acme', userId: '1' },
            { authorization: `Bearer ${token}` },
          )
        ).status;
      now = begun + (DAY_SECONDS - 1) * 1000;
      assert.equal(await useToken(), 201);
      now = begun + (DAY_SECONDS + 1) * 1000;
      assert.equal(await useToken(), 401);
      now = begun + (7 * DAY_SECONDS - 1) * 1000;
      const agent = new UserAgent();
      const late = await click(agent, connectUrl);
      now = begun + (7 * DAY_SECONDS + 1) * 1000;
      assert.match(await (await fetch(connectUrl)).text(), /This link has expired/);
      assert.equal((await click(new UserAgent(), connectUrl)).error?.type, 'invalid_link');
      // An attempt that began in time may end.
      assert.equal((await finish(server, agent, { state: late.state })).status, 200);
      await assert.rejects(server.nango.createConnectSession({ userId: '1', expiresInSeconds: 7 * DAY_SECONDS + 1 }), {
        type: 'invalid_request',
      });
    });
  });
}

test('GET and HEAD change nothing, however often programs that scan e-mails send them', async (t) => {
  const server = await start(t);
  const { connectUrl } = await createLink(server);
  for (let count = 0; count < 30; count += 1)
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await fetch(connectUrl, { method });
      assert.deepEqual(
        [status, headers.get('cache-control'), headers.get('referrer-policy'), headers.get('x-frame-options')],
        [200, 'no-store', 'no-referrer', 'DENY'],
      );
      assert.deepEqual(headers.getSetCookie(), []);
    }
  assert.equal(await connect(server, connectUrl), 200);
});

test('only the link’s own page may begin it, and only by JSON', async (t) => {
  const server = await start(t);
  const { connectUrl } = await createLink(server);
  for (const origin of ['https://evil.example', 'null', server.url.toUpperCase()])
    assert.equal((await click(new UserAgent(), connectUrl, { origin })).error?.type, 'forbidden', origin);
  const form = { method: 'POST', body: new URLSearchParams({ integration: 'acme' }), headers: { origin: server.url } };
  assert.equal((await fetch(connectUrl, form)).status, 400);
  assert.equal((await click(new UserAgent(), connectUrl, { integration: 'mail' })).error?.type, 'forbidden');
  assert.equal((await click(new UserAgent(), connectUrl, { integration: '__proto__' })).error?.type, 'forbidden');
});

test('a link’s token and a session’s token are accepted only for their own purpose', async (t) => {
  const server = await start(t);
  const { connectUrl, token } = await createLink(server);
  const linkToken = connectUrl.split('/').at(-1) ?? '';
  assert.ok(linkToken.length >= 43);
  const attempt = (bearer: string) =>
    server.api('POST', '/oauth/attempts', { integration: 'acme', userId: '1' }, { authorization: `Bearer ${bearer}` });
  assert.equal((await attempt(linkToken)).status, 401);
  assert.equal((await attempt(token)).status, 201);
  assert.equal(await statusOf(`${server.url}/oauth/link/${token}`), 410);
  const api = await server.api('GET', '/api/connections', undefined, { authorization: `Bearer ${linkToken}` });
  assert.equal(api.status, 401);
  assert.equal(await statusOf(`${server.url}/oauth/attempts/${linkToken}`), 400);
  assert.equal(await statusOf(`${server.url}/oauth/connect/acme?attempt=${linkToken}`), 400);
});

test('an attempt of a link is bound to the browser that began it', async (t) => {
  const server = await start(t);
  const { connectUrl } = await createLink(server);
  const { state } = await click(new UserAgent(), connectUrl);
  const page = await finish(server, new UserAgent(), { state });
  assert.match(await page.text(), /finished in another browser.*open the link again/s);
  assert.equal(await connect(server, connectUrl), 200);
});

test('hostile tokens get a page or an error, and are not shown', async (t) => {
  const server = await start(t);
  for (const token of ['__proto__', 'a%2fb', '%22%3E%3Cscript%3E', '%00', '%F0%9F', 'x'.repeat(199)]) {
    const response = await fetch(`${server.url}/oauth/link/${token}`);
    assert.ok([400, 410].includes(response.status), `${token} ${response.status}`);
    assert.ok(!(await response.text()).includes('<script>"'), token);
  }
  const { hostname, port } = new URL(server.url);
  const status = await new Promise((resolve, reject) =>
    request({ hostname, port, path: `/oauth/link/${'x'.repeat(100_000)}` }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end(),
  );
  assert.equal(status, 431);
});

test('a session has a link if a user can connect each of its integrations without a field', async (t) => {
  const server = await start(t);
  const { nango } = server;
  const linkOf = async (request: object) =>
    (await nango.createConnectSession({ userId: '1', ...request })).returnValue.connectUrl;
  for (const request of [
    {},
    { integrations: ['keyed'] },
    { integrations: ['acme', 'keyed'] },
    { integrations: ['shop'] },
  ])
    assert.equal(await linkOf(request), null, JSON.stringify(request));
  const shop = { additionalConfig: { shop: { region: 'eu' } } };
  assert.ok(await linkOf({ integrations: ['acme', 'shop'], ...shop }));
  const { id } = (await nango.registerConnection('shop', '1', { access_token: 'x' }, { region: 'us' })).returnValue;
  assert.ok(await linkOf({ integrations: ['shop'] }));
  const { connectUrl } = (await nango.createConnectSession({ connectionId: id })).returnValue;
  assert.ok(connectUrl !== null);
  const agent = new UserAgent();
  const { state } = await click(agent, connectUrl, { integration: 'shop' });
  assert.equal((await finish(server, agent, { state })).status, 200);
  const connection = (await nango.getConnection('shop', '1')).returnValue;
  assert.deepEqual([connection.id, connection.additionalConfig], [id, { region: 'us' }]);
});

test('neither the database nor the log holds the token of a link', async (t) => {
  const server = await start(t);
  const { connectUrl } = await createLink(server);
  await connect(server, connectUrl);
  await fetch(connectUrl);
  const files = ['nango.db', 'nango.db-wal'].map((name) => readFileSync(join(server.dataDirectory, name), 'latin1'));
  for (const text of [...files, server.log()]) assert.ok(!text.includes(connectUrl.split('/').at(-1) ?? ''));
  assert.match(server.log(), /"action":"connection.connect"/);
});

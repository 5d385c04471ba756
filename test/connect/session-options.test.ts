import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

const CONFIG = `    config:
      region: { pattern: '[a-z]+' }
      plan: { optional: true }
`;

/** A server with two Integrations of a provider that accepts every code. */
async function start(t: TestContext) {
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at', token_type: 'bearer' } }));
  const acme = scriptedIntegration(provider.url);
  const shop = scriptedIntegration(provider.url, { name: 'shop', settings: CONFIG });
  const server = await startTestServer(t, { integrations: `integrations:${acme}${shop}` });
  const { nango } = server;

  async function begin(token: string, body: object) {
    const { body: begun, status } = await server.api('POST', '/oauth/attempts', body, {
      authorization: `Bearer ${token}`,
    });
    return { status, ...(begun as { attempt: string; connectUrl: string; error?: { type: string } }) };
  }

  async function finish({ attempt, connectUrl }: { attempt: string; connectUrl: string }) {
    const agent = new UserAgent();
    const state = new URL(await agent.confirm(connectUrl)).searchParams.get('state');
    await agent.request(`${server.url}/oauth/callback?state=${state}&code=c`);
    return attemptResult(server.url, attempt);
  }
  const session = async (request: object) =>
    (await nango.createConnectSession(request as { userId: string })).returnValue;
  return { server, nango, session, begin, finish };
}

const register = { access_token: 'before' };

test('a session with connectionId permits exactly that connection, and keeps its id', async (t) => {
  const { nango, session, begin, finish } = await start(t);
  const key = { integration: 'acme', userId: '1', account: 'work' };
  const { id } = (await nango.registerConnection(key, register)).returnValue;
  const { token, account } = await session({ connectionId: id });
  assert.equal(account, 'work');
  for (const other of [
    { integration: 'shop', userId: '1' },
    { integration: 'acme', userId: '2' },
    { integration: 'acme', userId: '1', account: 'default' },
    { integration: 'acme', userId: '1', newAccount: true },
  ])
    assert.equal((await begin(token, other)).error?.type, 'forbidden', JSON.stringify(other));
  assert.equal((await finish(await begin(token, { integration: 'acme', userId: '1' }))).status, 'succeeded');
  const connections = (await nango.getConnections()).returnValue;
  assert.deepEqual(
    connections.map((connection) => [connection.id, connection.account]),
    [[id, 'work']],
  );
});

test('a page names the connection by its id, with a session for exactly this connection', async (t) => {
  const { server, nango, session, begin, finish } = await start(t);
  const { id: connectionId } = (await nango.registerConnection('acme', '1', register)).returnValue;
  const { token } = await session({ connectionId });
  for (const other of [
    { connectionId: crypto.randomUUID() },
    { connectionId, integration: 'acme', userId: '1' },
    { connectionId, account: 'default' },
    { connectionId: '__proto__' },
    {},
    { integration: 'acme' },
  ])
    assert.ok([400, 403].includes((await begin(token, other)).status), JSON.stringify(other));
  const ofUser = await session({ userId: '1' });
  assert.equal((await begin(ofUser.token, { connectionId })).error?.type, 'forbidden');
  const withoutToken = await fetch(`${server.url}/oauth/attempts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ connectionId }),
  });
  assert.equal(withoutToken.status, 401);
  const begun = await begin(token, { connectionId });
  assert.equal((await finish(begun)).status, 'succeeded');
  const { id, credentials } = (await nango.getConnection('acme', '1')).returnValue;
  assert.deepEqual([id, credentials['access_token']], [connectionId, 'at']);
});

test('a session with connectionId takes no other user, integration or account beside it', async (t) => {
  const { nango, session } = await start(t);
  const { id: connectionId } = (await nango.registerConnection('acme', '1', register)).returnValue;
  for (const beside of [
    { userId: '2' },
    { integrations: ['shop'] },
    { integrations: ['acme', 'shop'] },
    { account: 'work' },
    { newAccount: true },
  ])
    await assert.rejects(session({ connectionId, ...beside }), { type: 'invalid_request' }, JSON.stringify(beside));
  await session({ connectionId, userId: '1', integrations: ['acme'], account: 'default' });
  await assert.rejects(session({ connectionId: crypto.randomUUID() }), { type: 'connection_not_found' });
});

test('a connection that is deleted meanwhile is not made anew by a session for it', async (t) => {
  const { nango, session, begin, finish } = await start(t);
  const { id: connectionId } = (await nango.registerConnection('acme', '1', register)).returnValue;
  const { token } = await session({ connectionId });
  const begun = await begin(token, { integration: 'acme', userId: '1' });
  await nango.deleteConnection({ connectionId });
  assert.equal((await finish(begun)).error?.type, 'connection_not_found');
  assert.equal((await begin(token, { integration: 'acme', userId: '1' })).error?.type, 'connection_not_found');
  // Another connection of the same key is another connection.
  await nango.registerConnection('acme', '1', register);
  assert.equal((await begin(token, { integration: 'acme', userId: '1' })).error?.type, 'connection_not_found');
  assert.equal((await nango.getConnection('acme', '1')).returnValue.credentials['access_token'], 'before');
});

test('additionalConfig of a session takes precedence over that of a page', async (t) => {
  const { nango, session, begin, finish } = await start(t);
  const { token } = await session({ userId: '1', additionalConfig: { shop: { region: 'eu' } } });
  const page = { region: 'us', plan: 'free' };
  const begun = await begin(token, { integration: 'shop', userId: '1', additionalConfig: page });
  assert.equal((await finish(begun)).status, 'succeeded');
  const config = async () => (await nango.getConnection('shop', '1')).returnValue.additionalConfig;
  assert.deepEqual(await config(), { region: 'eu', plan: 'free' });
  const again = await session({ userId: '1', additionalConfig: { shop: { region: 'asia' } } });
  assert.equal((await finish(await begin(again.token, { integration: 'shop', userId: '1' }))).status, 'succeeded');
  assert.deepEqual(await config(), { region: 'asia', plan: 'free' });
});

test('additionalConfig of a session has to fit its integrations', async (t) => {
  const { session } = await start(t);
  for (const [request, type] of [
    [{ additionalConfig: { shop: { region: 'EU 1' } } }, 'invalid_request'],
    [{ additionalConfig: { shop: { region: 'eu' } }, integrations: ['acme'] }, 'invalid_request'],
    [{ additionalConfig: { shopp: {} } }, 'unknown_integration'],
    [{ additionalConfig: { shop: { note: 'x'.repeat(70_000) } } }, 'invalid_request'],
  ] as const)
    await assert.rejects(session({ userId: '1', ...request }), { type }, JSON.stringify(request).slice(0, 80));
});

test('the page before the provider names the person that the session names', async (t) => {
  const { session, begin } = await start(t);
  for (const [endUser, shown] of [
    [{ name: 'Ada <b>', email: 'ada@example.com' }, 'Ada &lt;b&gt; (ada@example.com)'],
    [{ email: '"/%2f"@example.com' }, '&quot;/%2f&quot;@example.com'],
    [undefined, 'user-7'],
  ] as const) {
    const { token } = await session({ userId: 'user-7', ...(endUser ? { endUser } : {}) });
    const { connectUrl } = await begin(token, { integration: 'acme', userId: 'user-7' });
    const page = await (await fetch(connectUrl)).text();
    assert.ok(page.includes(`the account <b>${shown}</b> in`), shown);
  }
});

test('hostile names of people are refused, or they are data', async (t) => {
  const { server, session } = await start(t);
  for (const name of ['\0', '\ud800', '', 'x'.repeat(201), 'x'.repeat(100_000)])
    await assert.rejects(session({ userId: '1', endUser: { name } }), { type: 'invalid_request' });
  for (const name of ['__proto__', '/', '%2f', '"', '\u2028']) await session({ userId: '1', endUser: { name } });
  const hostile = '{"userId":"1","endUser":{"__proto__":{"name":"x"}}}';
  assert.equal((await server.api('POST', '/api/connect-sessions', hostile)).status, 400);
  assert.equal((await server.api('POST', '/api/connect-sessions', {})).status, 400);
});

test('a page can set none of the options of a session', async (t) => {
  const { server, nango, session, begin, finish } = await start(t);
  const { id } = (await nango.registerConnection('acme', '2', register)).returnValue;
  const options = {
    tags: { plan: 'pro' },
    scopes: ['admin'],
    options: { connectionId: id },
    endUser: { name: 'Mallory' },
    confirm: true,
    allowAccountChange: true,
  };
  const { token } = await session({ userId: '1' });
  const begun = await begin(token, { integration: 'acme', userId: '1', ...options });
  const page = await (await fetch(begun.connectUrl)).text();
  assert.ok(page.includes('<b>1</b>') && !page.includes('Mallory'));
  assert.equal((await finish(begun)).status, 'succeeded');
  assert.deepEqual((await nango.getConnection('acme', '1')).returnValue.tags, {});
  const local = await beginAttempt(server.url, { userId: '3' });
  assert.ok(local.attempt);
});

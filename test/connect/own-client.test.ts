import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ConnectSessionRequest } from '@nangohq/node-client';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { beginAttempt, UserAgent, attemptResult } from '../support/user-agent.ts';

const OWN = { clientId: 'customer-app', clientSecret: 'customer-secret-CANARY-51d7' };
const basic = ({ clientId, clientSecret }: typeof OWN) =>
  `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;

/** A server, and a provider that records how the client authenticates each request. */
async function start(t: TestContext, { auth = '', settings = '' } = {}) {
  const clock = { now: Date.now(), waits: 0 };
  const seen: { path: string; authorization: string | undefined; query: URLSearchParams }[] = [];
  const provider = await startScriptedProvider(t, ({ path, headers, query }) => {
    seen.push({ path, authorization: headers.authorization, query });
    if (path.startsWith('/api/')) return { body: { key: headers['x-app'] ?? null } };
    return { body: { access_token: `at-${seen.length}`, refresh_token: 'rt', token_type: 'bearer', expires_in: 3600 } };
  });
  const delay = async () => void (clock.waits += 1);
  const text = `integrations:${scriptedIntegration(provider.url, {
    settings,
    auth: `      revocation_url: ${provider.url}/revoke\n${auth}`,
  })}        X-App: \${oauth_client_id}\n`;
  const server = await startTestServer(t, { integrations: text, now: () => clock.now, delay });
  const connect = async (request: Partial<ConnectSessionRequest>, additionalConfig?: object) => {
    const session = { userId: '1', integrations: ['acme'], ...request };
    const { token } = (await server.nango.createConnectSession(session)).returnValue;
    const { attempt, connectUrl, error } = await beginAttempt(server.url, {
      token,
      ...(additionalConfig ? { additionalConfig } : {}),
    });
    if (error) return { status: 'failed', clientId: null, error };
    const agent = new UserAgent();
    const location = new URL(await agent.confirm(connectUrl));
    await agent.request(`${server.url}/oauth/callback?state=${location.searchParams.get('state')}&code=c`);
    return { ...(await attemptResult(server.url, attempt)), clientId: location.searchParams.get('client_id') };
  };
  const read = async () => (await server.nango.getConnection('acme', '1')).returnValue;
  const last = (path: string) => seen.findLast((request) => request.path === path);
  return { ...server, clock, connect, read, last };
}

test('a connection with its own OAuth app uses it for the code, refreshes, placeholders and revocation', async (t) => {
  const { nango, clock, connect, read, last, ...server } = await start(t);
  const { status, clientId } = await connect({ oauthClient: OWN });
  assert.deepEqual([status, clientId], ['succeeded', OWN.clientId]);
  assert.equal(last('/token')?.authorization, basic(OWN));
  assert.deepEqual((await read()).oauthClient, { clientId: OWN.clientId });
  const { data } = (await nango.request('acme', '1', { endpoint: 'x' })).returnValue;
  assert.deepEqual(JSON.parse(data), { key: OWN.clientId });
  clock.now += 7_200_000;
  const refreshed = await read();
  assert.notEqual(refreshed.credentials['access_token'], 'at-1');
  assert.equal(last('/token')?.authorization, basic(OWN));
  await nango.deleteConnection('acme', '1', { revoke: true });
  assert.equal(last('/revoke')?.authorization, basic(OWN));
  assert.doesNotMatch(server.log(), /CANARY-51d7/);
});

test('a reconnect without an OAuth app keeps that of the connection, and others have the Integration’s', async (t) => {
  const { connect, read, last } = await start(t);
  await connect({ oauthClient: OWN });
  assert.equal((await connect({})).clientId, OWN.clientId);
  assert.equal(last('/token')?.authorization, basic(OWN));
  assert.deepEqual((await read()).oauthClient, { clientId: OWN.clientId });
  assert.equal((await connect({ account: 'work' })).clientId, 'client-1');
});

test('the secret of an OAuth app can be replaced, and its id cannot', async (t) => {
  const { nango, clock, connect, read, last } = await start(t);
  await connect({ oauthClient: OWN });
  const next = { ...OWN, clientSecret: 'next-secret' };
  const { id } = (await nango.updateConnectionOAuthClient('acme', '1', next)).returnValue;
  clock.now += 7_200_000;
  assert.equal((await read()).id, id);
  assert.equal(last('/token')?.authorization, basic(next));
  for (const oauthClient of [{ clientId: 'other', clientSecret: 'x' }, { clientId: OWN.clientId }])
    await assert.rejects(nango.updateConnectionOAuthClient('acme', '1', oauthClient), { type: 'invalid_request' });
  await nango.updateConnectionOAuthClient('acme', '1', OWN);
  assert.equal(clock.waits, 0, 'a rejected secret holds no lease');
  await connect({ account: 'work' });
  const work = { integration: 'acme', userId: '1', account: 'work' };
  await assert.rejects(nango.updateConnectionOAuthClient(work, OWN), { type: 'invalid_request' });
});

test('tokens that were issued to an OAuth app are registered with it', async (t) => {
  const { nango, clock, read, last } = await start(t);
  const connection = { integration: 'acme', userId: '1', oauthClient: OWN };
  const expires_at = new Date(clock.now - 1000);
  await nango.registerConnection(connection, { access_token: 'old', refresh_token: 'rt', expires_at });
  await read();
  assert.equal(last('/token')?.authorization, basic(OWN));
});

test('an OAuth app is for one Integration, is complete, and no page brings one', async (t) => {
  const { nango, ...server } = await start(t);
  for (const request of [
    { oauthClient: OWN },
    { integrations: ['acme'], oauthClient: { clientId: 'x' } },
    { integrations: ['acme'], oauthClient: { clientId: '' } },
    { integrations: ['acme'], oauthClient: { ...OWN, other: 1 } },
  ])
    await assert.rejects(nango.createConnectSession({ userId: '1', ...request }), { type: 'invalid_request' });
  const { token } = (await nango.createConnectSession({ userId: '1' })).returnValue;
  const body = { integration: 'acme', userId: '1', oauthClient: OWN };
  const { body: begun } = await server.api('POST', '/oauth/attempts', body, { authorization: `Bearer ${token}` });
  const location = new URL(await new UserAgent().confirm((begun as { connectUrl: string }).connectUrl));
  assert.equal(location.searchParams.get('client_id'), 'client-1');
});

test('a page cannot choose the host that receives the secret of an OAuth app', async (t) => {
  const settings = '    config:\n      host: { set_by: back_end }\n';
  const { connect } = await start(t, { settings, auth: "      refresh_url: 'https://${config.host}/token'\n" });
  const page = { host: 'attacker.example' };
  const fixed = { oauthClient: OWN, additionalConfig: { acme: { host: 'login.acme.example' } } };
  assert.equal((await connect(fixed, page)).error?.type, 'invalid_request');
  assert.equal((await connect(fixed)).clientId, OWN.clientId);
  assert.equal((await connect({}, page)).error?.type, 'invalid_request');
  assert.equal((await connect({}, { other: 'x' })).clientId, OWN.clientId, 'the stored host stays');
});

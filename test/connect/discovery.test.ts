import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startAuthorizationServer } from '../support/authorization-server.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

const integrations = (issuer: string) => `integrations:
  acme:
    oauth_client_id: client
    oauth_client_secret: \${AS_SECRET}
    oauth_scopes: [openid, offline_access]
    auth: { auth_mode: OAUTH2, issuer: '${issuer}', authorization_params: { prompt: consent } }
    requests: { base_url: '${issuer}/', headers: { Authorization: 'Bearer \${access_token}' } }
`;

test('an issuer in place of the URLs connects, refreshes, calls the API and revokes', async (t) => {
  const clock = { now: Date.now() };
  const port = await freePort();
  const as = await startAuthorizationServer(t, { redirectUri: `http://localhost:${port}/oauth/callback` });
  const server = await startTestServer(t, {
    port,
    now: () => clock.now,
    environment: { AS_SECRET: as.clientSecret },
    integrations: integrations(as.issuer),
  });
  const { attempt, connectUrl } = await beginAttempt(server.url);
  const agent = new UserAgent();
  const { url } = await agent.visit(connectUrl);
  await agent.visit(`${url}/approve`, { method: 'POST' });
  assert.deepEqual(await attemptResult(server.url, attempt), { status: 'succeeded', error: null });
  clock.now += 3_600_000;
  assert.deepEqual((await server.nango.request('acme', '1', { endpoint: 'me' })).returnValue.json, { sub: 'ada' });
  await server.nango.deleteConnection('acme', '1', { revoke: true });
});

/** An authorization server whose metadata a test chooses. */
async function startScripted(t: TestContext, metadata: Record<string, unknown>) {
  const provider = await startScriptedProvider(t, ({ path }) => {
    if (path === '/token') return { body: { access_token: 'at', token_type: 'bearer' } };
    if (path !== '/.well-known/openid-configuration') return { status: 404 };
    const { url: issuer } = provider;
    const endpoints = { authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` };
    return { body: { issuer, ...endpoints, ...metadata } };
  });
  const server = await startTestServer(t, {
    environment: { AS_SECRET: 'secret' },
    integrations: integrations(provider.url),
  });
  const begun = await beginAttempt(server.url);
  const agent = new UserAgent();
  const location = (await agent.request(begun.connectUrl)).headers.get('location') ?? '';
  const finish = async (extra: Record<string, string> = {}) => {
    const state = URL.parse(location)?.searchParams.get('state') ?? '';
    await agent.request(
      `${server.url}/oauth/callback?${new URLSearchParams({ code: 'c', state, ...extra }).toString()}`,
    );
    return attemptResult(server.url, begun.attempt);
  };
  return { provider, finish, result: () => attemptResult(server.url, begun.attempt) };
}

test('F6: a response without the iss that the metadata promises is rejected before a code is sent', async (t) => {
  const { provider, finish } = await startScripted(t, { authorization_response_iss_parameter_supported: true });
  const { error } = await finish();
  assert.equal(error?.type, 'provider_error');
  assert.match(error?.message ?? '', /names no issuer/);
  assert.ok(!provider.requests.some(({ path }) => path === '/token'));
});

test('F6: the iss of the discovered issuer is accepted, and another iss is rejected', async (t) => {
  const right = await startScripted(t, { authorization_response_iss_parameter_supported: true });
  assert.equal((await right.finish({ iss: right.provider.url })).status, 'succeeded');
  for (const iss of [() => 'https://evil.example', (own: string) => `${own}/`, (own: string) => `${own}/tenant`]) {
    const wrong = await startScripted(t, {});
    assert.equal((await wrong.finish({ iss: iss(wrong.provider.url) })).error?.type, 'provider_error');
    assert.ok(!wrong.provider.requests.some(({ path }) => path === '/token'));
  }
});

test('client_secret_post is used if the metadata has no Basic', async (t) => {
  const { provider, finish } = await startScripted(t, {
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
  });
  assert.equal((await finish()).status, 'succeeded');
  const token = provider.requests.find(({ path }) => path === '/token');
  assert.deepEqual([token?.headers.authorization, token?.form.get('client_secret')], [undefined, 'secret']);
});

for (const [name, metadata, message] of [
  ['another issuer', { issuer: 'https://evil.example' }, /names the issuer "https:\/\/evil\.example"/],
  ['a token endpoint by http elsewhere', { token_endpoint: 'http://evil.example/t' }, /evil\.example.*only https/],
  ['an endpoint that is no URL', { token_endpoint: 'javascript:alert(1)' }, /cannot be used: token_endpoint/],
  ['no token endpoint', { token_endpoint: undefined }, /names no token endpoint/],
] as const) {
  test(`metadata with ${name} is provider_error, and the user is not redirected`, async (t) => {
    const { error } = await (await startScripted(t, metadata)).result();
    assert.equal(error?.type, 'provider_error');
    assert.match(error?.message ?? '', message);
  });
}

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';

/** An API that accepts one key and one user. */
async function startApi(t: TestContext) {
  const basic = `Basic ${Buffer.from('ada:right').toString('base64')}`;
  const provider = await startScriptedProvider(t, ({ path, headers }) => {
    if (path === '/down') return { status: 503 };
    if (path === '/secret' && headers['x-key'] === 'right') return { status: 403 };
    return { status: headers['x-key'] === 'right' || headers.authorization === basic ? 200 : 401 };
  });
  const server = await startTestServer(t, {
    integrations: `integrations:
  keyed:
    auth: { auth_mode: API_KEY, verification: { endpoint: 'me?fields=id' } }
    requests: { base_url: '${provider.url}/v1/', headers: { X-Key: '\${api_key}' } }
  basic:
    auth: { auth_mode: USERNAME_PASSWORD, verification: { method: POST, endpoint: login } }
    requests: { base_url: '${provider.url}/', headers: { Authorization: 'Basic \${basic_auth_encoded}' } }
  narrow:
    auth: { auth_mode: API_KEY, verification: { endpoint: secret, accept_statuses: [403] } }
    requests: { base_url: '${provider.url}/', headers: { X-Key: '\${api_key}' } }
  down:
    auth: { auth_mode: API_KEY, verification: { endpoint: down } }
    requests: { base_url: '${provider.url}/', headers: { X-Key: '\${api_key}' } }
  acme:
    oauth_client_id: a
    oauth_client_secret: b
    oauth_scopes: []
    auth: { auth_mode: OAUTH2, authorization_url: '${provider.url}/a', token_url: '${provider.url}/t' }
    requests: { base_url: '${provider.url}/' }
`,
  });
  const connect = async (integration: string, credentials: object, origin = 'http://localhost:1') => {
    const headers = { 'content-type': 'application/json', origin };
    const response = await fetch(`${server.url}/oauth/attempts`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ integration, userId: '1', credentials }),
    });
    const { status, error } = (await response.json()) as { status?: string; error?: { type: string; message: string } };
    return error?.type ?? status;
  };
  return { provider, server, connect, stored: async () => (await server.nango.getConnections()).returnValue.length };
}

test('connect() registers prompted credentials after the API has accepted them', async (t) => {
  const { provider, server, connect, stored } = await startApi(t);
  assert.equal(await connect('keyed', { api_key: 'right' }), 'succeeded');
  assert.equal(await connect('basic', { username: 'ada', password: 'right' }), 'succeeded');
  assert.deepEqual(
    provider.requests.map(({ method, path, query }) => [method, path, query.toString()]),
    [
      ['GET', '/v1/me', 'fields=id'],
      ['POST', '/login', ''],
    ],
  );
  assert.equal((await server.nango.getConnection('keyed', '1')).returnValue.credentials['api_key'], 'right');
  assert.equal(await stored(), 2);
});

test('wrong credentials are invalid_credentials, and nothing is stored', async (t) => {
  const { server, connect, stored } = await startApi(t);
  assert.equal(await connect('keyed', { api_key: 'wrong-CANARY' }), 'invalid_credentials');
  assert.equal(await connect('keyed', { key: 'right' }), 'invalid_credentials');
  assert.equal(await connect('keyed', {}), 'invalid_credentials');
  await assert.rejects(server.nango.registerConnection('basic', '1', { username: 'ada', password: 'wrong' }), {
    type: 'invalid_credentials',
    message: /does not accept.*401/,
  });
  assert.equal(await stored(), 0);
  assert.ok(!server.log().includes('CANARY'));
  await server.nango.registerConnection('keyed', '1', { api_key: 'right' });
  await assert.rejects(server.nango.updateConnectionCredentials('keyed', '1', { api_key: 'wrong' }), {
    type: 'invalid_credentials',
  });
  assert.equal((await server.nango.getConnection('keyed', '1')).returnValue.credentials['api_key'], 'right');
});

test('a valid key with few permissions is accepted if the Blueprint names the status that proves it', async (t) => {
  const { connect } = await startApi(t);
  assert.equal(await connect('narrow', { api_key: 'right' }), 'succeeded');
  assert.equal(await connect('narrow', { api_key: 'wrong' }), 'invalid_credentials');
});

test('an API that cannot verify credentials is provider_error, and nothing is stored', async (t) => {
  const { connect, stored } = await startApi(t);
  assert.equal(await connect('down', { api_key: 'right' }), 'provider_error');
  assert.equal(await stored(), 0);
});

test('F2: a page can neither register tokens of an OAuth integration nor connect from another machine', async (t) => {
  const { connect, stored } = await startApi(t);
  assert.equal(await connect('acme', { access_token: 'planted' }), 'invalid_credentials');
  assert.equal(await connect('keyed', { api_key: 'right' }, 'https://evil.example'), 'unauthorized');
  assert.equal(await stored(), 0);
});

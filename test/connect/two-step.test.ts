import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';

const KEY = 'key-CANARY-1';

/** An API with its own login endpoint, whose tokens live for a minute. */
async function start(t: TestContext) {
  const clock = { now: Date.now() };
  const state = { valid: true, down: false };
  let tokens = 0;
  const provider = await startScriptedProvider(t, ({ path, query, headers, body, form }) => {
    if (path.startsWith('/api')) {
      const ok = headers.authorization === `Token ${tokens}` && headers['x-account'] === 'a1';
      return { status: ok ? 200 : 401, body: { ok } };
    }
    if (state.down) return { status: 503, body: 'down' };
    const login =
      path === '/login'
        ? body === JSON.stringify({ auth: { key: KEY, account: 'a1' }, grant: 'key' }) &&
          query.get('v') === '2' &&
          headers['x-app'] === 'app'
        : form.get('user[name]') === 'ada' && form.get('user[password]') === 'p:ä';
    if (!login || !state.valid) return { status: 401, body: { error: { message: `bad key ${KEY}` } } };
    tokens += 1;
    return { body: { data: { token: String(tokens), ttl: 60_000 }, plan: 'pro', account: 'not-mine' } };
  });
  const server = await startTestServer(t, {
    now: () => clock.now,
    integrations: `integrations:
  acme:
    app_api_key: app
    auth:
      auth_mode: API_KEY
      credentials:
        api_key: { label: API key, description: Settings → API, pattern: '(?<prefix>[a-z]+)-.+' }
        account: { label: Account, secret: false }
      token_request:
        url: ${provider.url}/login
        params: { v: 2 }
        headers: { X-App: '\${app_api_key}' }
        body: { auth: { key: '\${api_key}', account: '\${raw.account}' }, grant: '\${raw.prefix}' }
      token_response_paths: { access_token: data.token, expires_in: data.ttl }
      expires_in_unit: milliseconds
      verification: { endpoint: me }
    requests:
      base_url: ${provider.url}/api/
      headers: { Authorization: 'Token \${access_token}', X-Account: '\${raw.account}', X-Plan: '\${raw.plan}' }
  login:
    auth:
      auth_mode: USERNAME_PASSWORD
      token_request:
        url: ${provider.url}/session
        body_format: form
        body: { user: { name: '\${username}', password: '\${password}' } }
      token_response_paths: { access_token: data.token }
      token_lifetime_seconds: 60
    requests: { base_url: '${provider.url}/api/', headers: { Authorization: 'Token \${access_token}', X-Account: a1 } }
`,
  });
  const connect = async (credentials: object, integration = 'acme') => {
    const response = await fetch(`${server.url}/oauth/attempts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'http://localhost:1' },
      body: JSON.stringify({ integration, userId: '1', credentials }),
    });
    const { status, error } = (await response.json()) as { status?: string; error?: { type: string; message: string } };
    return { status: error?.type ?? status, message: error?.message ?? '' };
  };
  const call = async (integration = 'acme') =>
    (await server.nango.request(integration, '1', { endpoint: 'x' })).returnValue.status;
  return { clock, state, provider, server, connect, call };
}

const TYPED = { api_key: KEY, account: 'a1' };

test('a key is exchanged for a token, which is refreshed before it expires', async (t) => {
  const { clock, provider, server, connect, call } = await start(t);
  assert.equal((await connect({ ...TYPED, api_key: KEY.replace('key', 'KEY') })).status, 'invalid_credentials');
  // The pattern’s named group is a separate value, which the body contains.
  assert.equal((await connect(TYPED)).status, 'succeeded', JSON.stringify(provider.requests.map(({ body }) => body)));
  assert.equal(await call(), 200);
  clock.now += 31_000;
  assert.equal(await call(), 200);
  const logins = provider.requests.filter(({ path }) => path === '/login');
  assert.equal(logins.length, 2);
  const { credentials } = (await server.nango.getConnection('acme', '1')).returnValue;
  assert.equal(credentials['access_token'], '2');
  assert.equal(credentials['api_key'], KEY);
  assert.deepEqual(credentials.raw, {
    data: { token: '2', ttl: 60_000 },
    plan: 'pro',
    account: 'a1',
    api_key: KEY,
    prefix: 'key',
  });
});

test('a login is exchanged as a form, and the Blueprint sets the life of its token', async (t) => {
  const { clock, provider, connect, call } = await start(t);
  assert.equal((await connect({ username: 'ada', password: 'p:ä' }, 'login')).status, 'succeeded');
  assert.equal(await call('login'), 200);
  clock.now += 60_000;
  assert.equal(await call('login'), 200);
  assert.equal(provider.requests.filter(({ path }) => path === '/session').length, 2);
});

test('wrong, missing or malformed fields are invalid_credentials, nothing is stored and nothing echoed', async (t) => {
  const { server, connect, state } = await start(t);
  assert.match((await connect({ api_key: KEY })).message, /account \(Account\) is required/);
  assert.match((await connect({ ...TYPED, api_key: 'CANARY' })).message, /api_key \(API key\) must match/);
  state.valid = false;
  const refused = await connect(TYPED);
  assert.equal(refused.status, 'invalid_credentials');
  assert.match(refused.message, /does not accept these credentials.*401: bad key \[secret\]/);
  state.down = true;
  assert.equal((await connect(TYPED)).status, 'token_exchange_failed');
  assert.deepEqual((await server.nango.getConnections()).returnValue, []);
  assert.ok(!server.log().includes('CANARY'));
});

test('R4, R5: a login that is down keeps the connection, and a login that rejects the key ends it', async (t) => {
  const { clock, connect, call, state, server } = await start(t);
  await connect(TYPED);
  clock.now += 31_000;
  state.down = true;
  assert.equal(await call(), 200);
  clock.now += 30_000;
  await assert.rejects(call(), { type: 'refresh_failed' });
  state.down = false;
  state.valid = false;
  clock.now += 60_000;
  await assert.rejects(call(), { type: 'needs_reconnect' });
  const [connection] = (await server.nango.getConnections()).returnValue;
  assert.equal(connection?.status, 'needs_reconnect');
});

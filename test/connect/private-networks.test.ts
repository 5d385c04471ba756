import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { test, type TestContext } from 'node:test';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider, type ScriptedResponse, type ScriptedProvider } from '../support/scripted-provider.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

/** A server that allows no private network, and an API on this machine that connections may name. */
async function startGuarded(t: TestContext, allowed = '[]') {
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at-2', expires_in: 3600 } }));
  const { port } = new URL(provider.url);
  const server = await startTestServer(t, {
    config: `allowed_private_networks: ${allowed}`,
    integrations: `integrations:
  chosen:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '\${config.origin}/api/', headers: { X-Key: '\${api_key}' } }
  fixed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'http://localhost:${port}/api/', headers: { X-Key: '\${api_key}' } }
  tokens:
    oauth_client_id: id
    oauth_client_secret: secret
    oauth_scopes: []
    auth: { auth_mode: OAUTH2, authorization_url: 'https://a.example/a', token_url: '\${config.origin}/token' }
    config: { origin: { set_by: back_end } }
    requests: { base_url: 'https://a.example/' }
  own:
    extends_blueprint: internal
`,
    files: {
      'blueprints/internal.yaml': `name: internal
display_name: Internal
docs_url: https://internal.example/
maintainer: us
versions:
  v0:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'http://localhost:${port}/own/', headers: { X-Key: '\${api_key}' } }
`,
    },
  });
  const proxied = (integration: string, userId: string) =>
    fetch(`${server.url}/proxy/x`, {
      headers: { authorization: `Bearer ${SECRET_KEY}`, 'nango-integration': integration, 'nango-user-id': userId },
    });
  return { server, provider, port, proxied };
}

test('P3: a host that a connection chose is rejected if it is in a private network, in any notation', async (t) => {
  const { server, provider, port, proxied } = await startGuarded(t);
  const hosts = ['localhost', '127.0.0.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0'];
  for (const host of hosts) {
    const origin = `http://${host}:${port}`;
    await server.nango.registerConnection('chosen', host, { api_key: 'CANARY' }, { origin });
    // http outside loopback is rejected earlier. Loopback names and numbers are rejected by their address.
    const refused = /^(address_refused|invalid_value)$/;
    await assert.rejects(server.nango.request('chosen', host, { endpoint: 'x' }), { type: refused }, host);
    const answer = await proxied('chosen', host);
    assert.match(answer.headers.get('nango-error') ?? '', refused, host);
    assert.equal(answer.status, 400, host);
  }
  const metadata = { origin: 'https://169.254.169.254' };
  await server.nango.registerConnection('chosen', 'metadata', { api_key: 'CANARY' }, metadata);
  assert.equal((await proxied('chosen', 'metadata')).headers.get('nango-error'), 'address_refused');
  assert.deepEqual(provider.requests, []);
});

test('P3: no WebSocket is opened to a private host that a connection chose', async (t) => {
  const { server, provider, port } = await startGuarded(t);
  await server.nango.registerConnection('chosen', '1', { api_key: 'k' }, { origin: `http://localhost:${port}` });
  const headers = {
    authorization: `Bearer ${SECRET_KEY}`,
    'nango-integration': 'chosen',
    'nango-user-id': '1',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const refused = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${server.url}/proxy/x`, { headers }, resolve).on('error', reject);
  });
  refused.resume();
  assert.deepEqual([refused.statusCode, refused.headers['nango-error']], [400, 'address_refused']);
  assert.deepEqual(provider.requests, []);
});

test('P3: token URLs that a connection chose, and those of custom Blueprints, are rejected too', async (t) => {
  const { server, provider, port, proxied } = await startGuarded(t);
  const origin = `http://localhost:${port}`;
  const expired = { access_token: 'at-1', refresh_token: 'rt', expires_at: 1_000_000_000 };
  await server.nango.registerConnection('tokens', '1', expired, { origin });
  await assert.rejects(server.nango.getConnection('tokens', '1'), {
    type: 'refresh_failed',
    message: /private network/,
  });
  await server.nango.registerConnection('own', '1', { api_key: 'k' });
  assert.equal((await proxied('own', '1')).headers.get('nango-error'), 'address_refused');
  assert.deepEqual(provider.requests, []);
});

test('P3: hosts that the operator configured are allowed, and networks are permitted by name', async (t) => {
  const { server, proxied } = await startGuarded(t);
  await server.nango.registerConnection('fixed', '1', { api_key: 'k' });
  assert.equal((await proxied('fixed', '1')).status, 200);
  const open = await startGuarded(t, '[127.0.0.0/8, "::1/128"]');
  await open.server.nango.registerConnection(
    'chosen',
    '1',
    { api_key: 'k' },
    { origin: `http://localhost:${open.port}` },
  );
  await open.server.nango.registerConnection('own', '1', { api_key: 'k' });
  for (const integration of ['chosen', 'own']) assert.equal((await open.proxied(integration, '1')).status, 200);
});

const METADATA = '/.well-known/oauth-authorization-server';
const RESOURCE_METADATA = '/.well-known/oauth-protected-resource/mcp';

/** The metadata that a provider publishes. `internal` is a service that no client should reach. */
type Published = (origins: { own: string; internal: string }) => Record<string, ScriptedResponse>;

const endpointsOf = (origin: string) => ({
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  revocation_endpoint: `${origin}/revoke`,
  registration_endpoint: `${origin}/register`,
});

const RIGHT: Published = ({ own }) => ({
  '/mcp': { status: 401, headers: { 'www-authenticate': 'Bearer' } },
  [RESOURCE_METADATA]: { body: { resource: `${own}/mcp`, authorization_servers: [own] } },
  [METADATA]: { body: { issuer: own, ...endpointsOf(own) } },
  '/token': { body: { access_token: 'at', refresh_token: 'rt', token_type: 'bearer', expires_in: 3600 } },
  '/revoke': {},
  '/register': { status: 201, body: { client_id: 'registered' } },
});

/** A provider that the operator configured. `published` replaces parts of its correct responses. */
async function startDiscovered(t: TestContext, published: Published, allowed = '[]') {
  const internal = await startScriptedProvider(t, () => ({ status: 201, body: { client_id: 'internal' } }));
  const provider = await startScriptedProvider(t);
  const origins = { own: provider.url, internal: internal.url };
  const answers: Record<string, ScriptedResponse> = { ...RIGHT(origins), ...published(origins) };
  provider.answer = ({ path }) => answers[path] ?? { status: 404 };
  const client = 'oauth_client_id: id\n    oauth_client_secret: secret\n    oauth_scopes: []';
  const server = await startTestServer(t, {
    config: `allowed_private_networks: ${allowed}`,
    integrations: `integrations:
  issuer:
    ${client}
    auth: { auth_mode: OAUTH2, issuer: '${provider.url}' }
    requests: { base_url: '${provider.url}/' }
  registered:
    auth: { auth_mode: OAUTH2, issuer: '${provider.url}', client_metadata: { client_name: Test } }
    requests: { base_url: '${provider.url}/' }
    oauth_scopes: []
  resource:
    ${client}
    auth: { auth_mode: OAUTH2, resource: '${provider.url}/mcp' }
    requests: { base_url: '${provider.url}/' }
`,
  });
  const connect = async (integration: string) => {
    const begun = await beginAttempt(server.url, { integration });
    const agent = new UserAgent();
    const location = (await agent.request(begun.connectUrl)).headers.get('location') ?? '';
    const state = URL.parse(location)?.searchParams.get('state');
    if (typeof state === 'string')
      await agent.request(`${server.url}/oauth/callback?${new URLSearchParams({ code: 'c', state }).toString()}`);
    return attemptResult(server.url, begun.attempt);
  };
  return { server, provider, internal, connect };
}

const paths = ({ requests }: ScriptedProvider) => requests.map(({ path }) => path);

test('D8: a configured provider on a private network works if its metadata stays on its origin', async (t) => {
  const { connect, provider, server } = await startDiscovered(t, () => ({}));
  for (const integration of ['issuer', 'registered', 'resource'])
    assert.deepEqual(await connect(integration), { status: 'succeeded', error: null }, integration);
  await server.nango.deleteConnection('issuer', '1', { revoke: true });
  for (const path of ['/token', '/register', '/revoke']) assert.ok(paths(provider).includes(path), path);
});

const HOSTILE: [what: string, integration: string, published: Published][] = [
  [
    'a token endpoint on another port',
    'issuer',
    ({ own, internal }) => ({
      [METADATA]: { body: { issuer: own, ...endpointsOf(own), token_endpoint: `${internal}/token` } },
    }),
  ],
  [
    'a registration endpoint on another port',
    'registered',
    ({ own, internal }) => ({
      [METADATA]: { body: { issuer: own, ...endpointsOf(own), registration_endpoint: `${internal}/register` } },
    }),
  ],
  [
    'another authorization server',
    'resource',
    ({ own, internal }) => ({
      [RESOURCE_METADATA]: { body: { resource: `${own}/mcp`, authorization_servers: [internal] } },
    }),
  ],
  [
    'the address of its metadata in a challenge',
    'resource',
    ({ internal }) => ({
      '/mcp': { status: 401, headers: { 'www-authenticate': `Bearer resource_metadata="${internal}/metadata"` } },
    }),
  ],
  [
    'the address of its metadata as a decimal number',
    'resource',
    ({ internal }) => ({
      '/mcp': {
        status: 401,
        headers: {
          'www-authenticate': `Bearer resource_metadata="http://2130706433:${new URL(internal).port}/metadata"`,
        },
      },
    }),
  ],
  [
    'a redirect of its metadata',
    'issuer',
    ({ internal }) => ({ [METADATA]: { status: 302, headers: { location: `${internal}/metadata` } } }),
  ],
];

for (const [what, integration, published] of HOSTILE) {
  test(`D8: a provider that names an internal service by ${what} causes no request to it`, async (t) => {
    const { connect, internal } = await startDiscovered(t, published);
    assert.equal((await connect(integration)).status, 'failed');
    assert.deepEqual(paths(internal), []);
  });
}

test('D8: no revocation is sent to an internal service that metadata names', async (t) => {
  const { connect, internal, server } = await startDiscovered(t, ({ own, internal: other }) => ({
    [METADATA]: { body: { issuer: own, ...endpointsOf(own), revocation_endpoint: `${other}/revoke` } },
  }));
  assert.equal((await connect('issuer')).status, 'succeeded');
  await assert.rejects(server.nango.deleteConnection('issuer', '1', { revoke: true }));
  assert.deepEqual(paths(internal), []);
});

test('D8: metadata may name another private origin if its network is permitted', async (t) => {
  const published: Published = ({ own, internal }) => ({
    [METADATA]: { body: { issuer: own, ...endpointsOf(own), registration_endpoint: `${internal}/register` } },
  });
  const { connect, internal } = await startDiscovered(t, published, '[127.0.0.0/8, "::1/128"]');
  assert.equal((await connect('registered')).status, 'succeeded');
  assert.deepEqual(paths(internal), ['/register']);
});

test('D8: a redirect of metadata to another origin is not followed, although its network is permitted', async (t) => {
  const published: Published = ({ internal }) => ({
    [METADATA]: { status: 302, headers: { location: `${internal}/metadata` } },
  });
  const { connect, internal } = await startDiscovered(t, published, '[127.0.0.0/8, "::1/128"]');
  assert.equal((await connect('issuer')).error?.type, 'provider_error');
  assert.deepEqual(paths(internal), []);
});

test('D8: a challenge that names metadata by http on another machine is rejected', async (t) => {
  const published: Published = () => ({
    '/mcp': { status: 401, headers: { 'www-authenticate': 'Bearer resource_metadata="http://evil.example/m"' } },
  });
  const { error } = await (await startDiscovered(t, published, '[127.0.0.0/8]')).connect('resource');
  assert.equal(error?.type, 'provider_error');
  assert.match(error?.message ?? '', /evil\.example.*only https/);
});

test('discovery follows at most three redirects of metadata, on the same origin', async (t) => {
  const moved = (location: string) => ({ status: 307, headers: { location } });
  const chain =
    (length: number): Published =>
    ({ own }) => ({
      [METADATA]: moved('/moved/1'),
      ...Object.fromEntries(
        Array.from({ length: length - 1 }, (_, index) => [`/moved/${index + 1}`, moved(`${own}/moved/${index + 2}`)]),
      ),
      [`/moved/${length}`]: { body: { issuer: own, ...endpointsOf(own) } },
    });
  assert.equal((await (await startDiscovered(t, chain(3))).connect('issuer')).status, 'succeeded');
  const endless = await startDiscovered(t, chain(4));
  assert.match((await endless.connect('issuer')).error?.message ?? '', /was not found at any of these URLs/);
});

for (const [what, answer] of [
  ['a page', { headers: { 'content-type': 'text/html' }, body: '<!doctype html><title>Sign in</title>' }],
  ['other JSON', { body: { message: 'ok' } }],
  ['the metadata of another issuer', { body: { issuer: 'https://other.example' } }],
] as const) {
  test(`discovery continues if the first well-known address has ${what}`, async (t) => {
    const { connect } = await startDiscovered(t, ({ own }) => ({
      [METADATA]: answer,
      '/.well-known/openid-configuration': { body: { issuer: own, ...endpointsOf(own) } },
    }));
    assert.deepEqual(await connect('issuer'), { status: 'succeeded', error: null });
  });
}

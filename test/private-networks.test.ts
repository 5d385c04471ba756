import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SECRET_KEY, startTestServer } from './support/nango-server.ts';
import { startScriptedProvider } from './support/scripted-provider.ts';

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

test('P3: a host that a connection chose is refused where it leads into a private network, however it is written', async (t) => {
  const { server, provider, port, proxied } = await startGuarded(t);
  const hosts = ['localhost', '127.0.0.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0'];
  for (const host of hosts) {
    const origin = `http://${host}:${port}`;
    await server.nango.registerConnection('chosen', host, { api_key: 'CANARY' }, { origin });
    // http is refused outside loopback already; what is loopback by name or number is refused by its address.
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

test('P3: token URLs that a connection chose, and Blueprints of one’s own, are refused likewise', async (t) => {
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

test('P3: what the operator wrote himself is not refused, and networks are permitted by name', async (t) => {
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

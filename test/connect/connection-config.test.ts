import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

async function start(
  t: TestContext,
  { auth = '', settings = '', token = {} }: { auth?: string; settings?: string; token?: object } = {},
) {
  const provider = await startScriptedProvider(t, ({ path }) =>
    path === '/token' ? { body: { access_token: 'at', token_type: 'bearer', ...token } } : { body: {} },
  );
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url, { auth, settings })}`,
  });
  const connect = async (callback: Record<string, string>, additionalConfig?: object) => {
    const begun = await beginAttempt(server.url, additionalConfig ? { additionalConfig } : {});
    if (begun.error) return { status: 'refused', error: begun.error };
    const agent = new UserAgent();
    const location = new URL((await agent.request(begun.connectUrl)).headers.get('location') ?? '');
    const query = new URLSearchParams({ code: 'c', state: location.searchParams.get('state') ?? '', ...callback });
    await agent.request(`${server.url}/oauth/callback?${query.toString()}`);
    return { ...(await attemptResult(server.url, begun.attempt)), location };
  };
  const config = async () => (await server.nango.getConnection('acme', '1')).returnValue.additionalConfig;
  return { provider, server, connect, config };
}

const KEPT = `      config_from_callback: { realm_id: realmId }
      config_from_token_response: { site: data.site.url }`;
const FIELDS = `    config:
      realm_id: { pattern: '\\d+' }
      site: { optional: true }`;

test('values of the callback and of the token response become config.*, beside the registered values', async (t) => {
  const { connect, config } = await start(t, {
    auth: KEPT,
    settings: FIELDS,
    token: { data: { site: { url: 'https://a' } } },
  });
  assert.equal((await connect({ realmId: '123' }, { own: 1 })).status, 'succeeded');
  assert.deepEqual(await config(), { own: 1, realm_id: '123', site: 'https://a' });
  assert.equal((await connect({ realmId: '456' })).status, 'succeeded');
  assert.deepEqual(await config(), { own: 1, realm_id: '456', site: 'https://a' });
});

test('a value that the Integration needs is missing or does not match: provider_error, nothing stored', async (t) => {
  const { server, connect } = await start(t, { auth: KEPT, settings: FIELDS });
  for (const [callback, message] of [
    [{}, /no "realmId", which "acme" stores as config.realm_id/],
    [{ realmId: '1/../2' }, /realm_id must match \\d\+/],
  ] as const) {
    const { error } = await connect(callback);
    assert.equal(error?.type, 'provider_error');
    assert.match(error?.message ?? '', message);
  }
  assert.deepEqual((await server.nango.getConnections()).returnValue, []);
});

test('a value of the callback is matched before a step uses it', async (t) => {
  const step = '{ request: { url: "http://localhost:9/${config.realm_id}" }, store: { account_id: id } }';
  const { connect } = await start(t, { auth: `${KEPT}\n      steps: [${step}]`, settings: FIELDS });
  const { error } = await connect({ realmId: 'hostile' });
  assert.match(error?.message ?? '', /realm_id must match/);
});

const SUBDOMAIN = `    config:
      subdomain: { label: Subdomain, example: acme, pattern: '[a-z0-9-]+' }
      region: { default: eu }`;

test('config fields are required, matched as a whole and have defaults, for every kind of connection', async (t) => {
  const { server, connect, provider } = await start(t, {
    settings: SUBDOMAIN,
    auth: '      authorization_params: { region: "${config.region}", shop: "${config.subdomain}" }',
  });
  for (const [additionalConfig, message] of [
    [undefined, /subdomain \(Subdomain, such as "acme"\) is required/],
    [{ subdomain: 'a.evil.example' }, /subdomain .* must match \[a-z0-9-\]\+/],
    [{ subdomain: 'a\nb' }, /must match/],
    [{ subdomain: { a: 1 } }, /must be text/],
  ] as const) {
    const { error } = await connect({}, additionalConfig);
    assert.equal(error?.type, 'invalid_request');
    assert.match(error?.message ?? '', message);
    await assert.rejects(server.nango.registerConnection('acme', '9', { access_token: 'a' }, additionalConfig), {
      type: 'invalid_request',
      message,
    });
  }
  const connected = await connect({}, { subdomain: 'shop-1' });
  assert.equal(connected.status, 'succeeded');
  const { searchParams } = 'location' in connected ? connected.location : new URL(provider.url);
  assert.deepEqual([searchParams.get('region'), searchParams.get('shop')], ['eu', 'shop-1']);
  await assert.rejects(server.nango.updateConnectionConfig('acme', '1', {}), { type: 'invalid_request' });
  const { integrations } = (await server.nango.connect()).returnValue;
  assert.deepEqual(integrations[0]?.config['subdomain'], {
    label: 'Subdomain',
    example: 'acme',
    pattern: '[a-z0-9-]+',
  });
});

test('nobody is prompted for values of application or provider, and the former cannot be overridden', async (t) => {
  const { server, connect } = await start(t, {
    auth: '      redirect_uri: ${config.callback_name}\n      config_from_token_response: { account_id: id }',
    settings: `    config:
      callback_name: { set_by: application, default: acme-app, pattern: "[a-z-]+" }
      account_id: { optional: true }`,
  });
  const connected = await connect({}, { callback_name: 'another' });
  assert.ok('location' in connected);
  assert.equal(connected.location.searchParams.get('redirect_uri'), 'acme-app');
  const response = await fetch(`${server.url}/api/server`, {
    headers: { authorization: `Bearer ${SECRET_KEY}` },
  });
  const { integrations } = (await response.json()) as { integrations: { config: object }[] };
  assert.deepEqual(integrations[0]?.config, {});
});

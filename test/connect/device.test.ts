import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startAuthorizationServer } from '../support/authorization-server.ts';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider, type ScriptedResponse } from '../support/scripted-provider.ts';
import { runCli } from '../support/server-process.ts';
import { UserAgent } from '../support/user-agent.ts';

/** Enters the code like a user, and responds to the provider’s question. */
async function enterCode(verificationUri: string, decision: 'approve' | 'deny'): Promise<void> {
  const agent = new UserAgent();
  const submit = async (url: string, html: string, extra: Record<string, string> = {}) => {
    const fields = [...html.matchAll(/<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [name, value],
    );
    const body = new URLSearchParams({ ...Object.fromEntries(fields), ...extra }).toString();
    return agent.request(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  };
  const { url, response } = await agent.visit(verificationUri);
  const form = new URL(url).origin + new URL(url).pathname;
  const confirmation = await submit(form, await response.text());
  const confirmed = await submit(form, await confirmation.text(), { confirm: 'yes' });
  const interaction = await agent.visit(new URL(confirmed.headers.get('location') ?? '', url).href);
  await agent.visit(`${interaction.url}/${decision}`, { method: 'POST' });
}

async function startDeviceFlow(t: TestContext) {
  const clock = { now: Date.now() };
  const as = await startAuthorizationServer(t, { redirectUri: 'http://localhost/unused' });
  const server = await startTestServer(t, {
    now: () => clock.now,
    environment: { AS_SECRET: as.clientSecret },
    integrations: `integrations:
  acme:
    oauth_client_id: client
    oauth_client_secret: \${AS_SECRET}
    oauth_scopes: [openid, offline_access]
    auth: { auth_mode: OAUTH2, issuer: '${as.issuer}' }
    requests: { base_url: '${as.issuer}/', headers: { Authorization: 'Bearer \${access_token}' } }
`,
  });
  const begun = (await server.nango.beginDeviceAuthorization('acme', '1')).returnValue;
  const poll = async () => (await server.nango.pollDeviceAuthorization(begun.attempt)).returnValue.status;
  return { clock, server, begun, poll };
}

test('a user who enters the code elsewhere is connected, and stays connected', async (t) => {
  const { clock, server, begun, poll } = await startDeviceFlow(t);
  assert.equal(await poll(), 'pending');
  await enterCode(begun.verificationUriComplete ?? '', 'approve');
  assert.equal(await poll(), 'succeeded');
  assert.equal(await poll(), 'succeeded');
  clock.now += 3_600_000;
  const me = (await server.nango.request('acme', '1', { endpoint: 'me' })).returnValue;
  assert.deepEqual(me.json, { sub: 'ada' });
});

test('a denied consent is access_denied, and ends the attempt', async (t) => {
  const { server, begun, poll } = await startDeviceFlow(t);
  await enterCode(begun.verificationUriComplete ?? '', 'deny');
  await assert.rejects(poll(), { type: 'access_denied' });
  await assert.rejects(poll(), { type: 'invalid_state' });
  assert.deepEqual((await server.nango.getConnections()).returnValue, []);
});

test('F4: an expired code, or an attempt that never existed, is invalid_state', async (t) => {
  const { clock, server, poll } = await startDeviceFlow(t);
  clock.now += 3_600_000;
  await assert.rejects(poll(), { type: 'invalid_state' });
  await assert.rejects(server.nango.pollDeviceAuthorization('unknown'), { type: 'invalid_state' });
});

async function startScripted(t: TestContext, answers: ScriptedResponse[]) {
  const provider = await startScriptedProvider(t, ({ path }) => {
    if (path !== '/device') return answers.shift() ?? { status: 400, body: { error: 'authorization_pending' } };
    const verification_uri = 'https://acme.example/device';
    return {
      body: { device_code: 'dc-CANARY', user_code: 'WDJB-MJHT', verification_uri, expires_in: 900, interval: 0.01 },
    };
  });
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
    oauth_client_id: client
    oauth_scopes: [read]
    auth:
      auth_mode: OAUTH2
      authorization_method: none
      device_authorization_url: ${provider.url}/device
      token_url: ${provider.url}/token
    requests: { base_url: '${provider.url}/' }
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${provider.url}/' }
`,
  });
  return { provider, server };
}

test('RFC 8628 §3.5: pending and lost responses continue, slow_down is passed on, an error ends it', async (t) => {
  const pending = { status: 400, body: { error: 'authorization_pending' } };
  const slow = { status: 400, body: { error: 'slow_down' } };
  const late = { status: 400, body: { error: 'expired_token' } };
  const { provider, server } = await startScripted(t, [pending, slow, 'cut', late]);
  const { attempt } = (await server.nango.beginDeviceAuthorization('acme', '1')).returnValue;
  const poll = async () => (await server.nango.pollDeviceAuthorization(attempt)).returnValue.status;
  assert.deepEqual([await poll(), await poll(), await poll()], ['pending', 'slow_down', 'slow_down']);
  await assert.rejects(poll(), { type: 'provider_error', message: /expired/ });
  assert.deepEqual(Object.fromEntries(provider.requests[0]?.form ?? []), { client_id: 'client', scope: 'read' });
  assert.deepEqual(Object.fromEntries(provider.requests[1]?.form ?? []), {
    client_id: 'client',
    device_code: 'dc-CANARY',
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
  });
  assert.ok(!server.log().includes('CANARY'));
  await assert.rejects(server.nango.beginDeviceAuthorization('keyed', '1'), { type: 'unsupported_auth_mode' });
});

test('nango connect --device shows the code and waits', async (t) => {
  const { server } = await startScripted(t, [
    { status: 400, body: { error: 'authorization_pending' } },
    { body: { access_token: 'at', token_type: 'bearer' } },
  ]);
  const environment = { NANGO_SERVER_URL: server.url, NANGO_SECRET_KEY: SECRET_KEY };
  const { code, stdout, stderr } = await runCli(['connect', 'acme', '1', '--device', '--json'], { environment });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /https:\/\/acme\.example\/device[^]*WDJB-MJHT[^]*15 minutes/);
  assert.deepEqual(JSON.parse(stdout), { integration: 'acme', userId: '1', status: 'succeeded', error: null });
});

test('nango connect takes config and credentials, from a file or stdin', async (t) => {
  const { server } = await startScripted(t, []);
  const environment = { NANGO_SERVER_URL: server.url, NANGO_SECRET_KEY: SECRET_KEY };
  const connect = (credentials: string, input?: string) =>
    runCli(['connect', 'keyed', '1', '--config', 'region=eu=1', '--config', 'shop=a', '--credentials', credentials], {
      environment,
      ...(input === undefined ? {} : { input }),
    });
  assert.equal((await connect('-', '{"api_key":"k"}')).code, 0);
  const { connection, credentials } = await server.nango
    .getConnection('keyed', '1')
    .then(({ returnValue: { credentials: held, ...rest } }) => ({ connection: rest, credentials: held }));
  assert.equal(credentials['api_key'], 'k');
  assert.deepEqual(connection.additionalConfig, { region: 'eu=1', shop: 'a' });
  const broken = await connect('-', '{"api_key":CANARY');
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /--credentials - cannot be used: it is not a JSON object/);
  assert.ok(!broken.stderr.includes('CANARY'));
  assert.match((await connect('missing.json')).stderr, /missing\.json does not exist/);
});

test('the audit log records the end of a device authorization, with the key that polled', async (t) => {
  const { server, begun, poll } = await startDeviceFlow(t);
  assert.equal(await poll(), 'pending');
  const ended = () => server.log().match(/"action":"connection\.connect","actor":"main"[^\n]*"status":200/g)?.length;
  assert.equal(ended(), undefined);
  await enterCode(begun.verificationUriComplete ?? begun.verificationUri, 'approve');
  assert.deepEqual([await poll(), await poll(), ended()], ['succeeded', 'succeeded', 1]);
});

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { NangoClientError } from '@nangohq/node-client';
import { GRANTING, REFUSING, startHostileProvider } from '../support/hostile-provider.ts';
import { startTestServer, type TestServer } from '../support/nango-server.ts';
import { connectBrowser } from '../support/user-agent.ts';

const USERS = ['u1', 'u2', 'u3'];
const SECRET = 'client-secret-CANARY-%<{;"';
const SLOW = ['hang', 'drip'];
const NAMES = [...Object.keys(GRANTING), ...Object.keys(REFUSING)];

async function start(t: TestContext) {
  const provider = await startHostileProvider(t);
  const client = `oauth_client_id: client\n    oauth_client_secret: '${SECRET}'\n    oauth_scopes: []`;
  const bearer = `headers: { Authorization: 'Bearer \${access_token}' }`;
  const requests = `requests: { base_url: '${provider.url}/api/', ${bearer} }`;
  const integration = (name: string) => `
  ${name}:
    ${client}
    auth:
      auth_mode: OAUTH2
      authorization_url: ${provider.url}/authorize
      token_url: ${provider.url}/${name}/token
      revocation_url: ${provider.url}/${name}/revoke
      device_authorization_url: ${provider.url}/${name}/device
    ${requests}
  step-${name}:
    ${client}
    auth:
      auth_mode: OAUTH2
      authorization_url: ${provider.url}/authorize
      token_url: ${provider.url}/plain/token
      steps:
        - request: { method: GET, url: '${provider.url}/${name}/me', ${bearer} }
          store: { token: access_token }
    ${requests}
  issuer-${name}:
    ${client}
    auth: { auth_mode: OAUTH2, issuer: '${provider.url}/${name}' }
    ${requests}`;
  const server = await startTestServer(t, {
    integrations: `integrations:${NAMES.map(integration).join('')}\n`,
    delay: async () => undefined,
  });
  return { provider, server };
}

/** Checks that the server is alive until `work` is done. */
async function whileAlive({ url }: TestServer, work: Promise<unknown>): Promise<void> {
  const state = { isDone: false };
  const ended = work.finally(() => (state.isDone = true));
  for (let asked = 0; !state.isDone || asked === 0; asked += 1) {
    const response = await fetch(`${url}/health/live`);
    assert.equal(response.status, 200);
    await response.text();
  }
  await ended;
}

/** Runs `one` for every provider, with its users at once. Hanging requests are cut when only they are left. */
async function forAll(
  { provider, server }: Awaited<ReturnType<typeof start>>,
  one: (name: string, user: string) => Promise<unknown>,
): Promise<void> {
  const run = (name: string) => Promise.all(USERS.map((user) => one(name, user)));
  const slow = Promise.all(SLOW.map(run));
  const others = NAMES.filter((name) => !SLOW.includes(name)).values();
  const worker = async () => {
    for (const name of others) await run(name);
  };
  const work = Promise.all([worker(), worker(), worker()]).then(() => provider.release());
  await whileAlive(server, Promise.all([work, slow]));
  assert.ok(!server.log().includes('CANARY'), 'a secret is in the log');
}

/** A user id for each provider, because a server keeps only the newest attempts of a user. */
function idOf(user: string, provider: string): string {
  return `${user} of ${provider}`;
}

function assertClear(error: { type: string; message: string } | null, name: string): void {
  assert.ok(error, name);
  assert.notEqual(error.type, 'internal_error', `${name}: ${error.message}`);
  assert.doesNotMatch(error.message, /CANARY/, name);
  assert.ok(error.message.length < 1_000, name);
}

test('T1, T2, T5, T6, D1: a refresh gives each user their own token or a clear error at every provider', async (t) => {
  const started = await start(t);
  const { nango } = started.server;
  await forAll(started, async (name, user) => {
    const expired = { access_token: `old-${user}`, refresh_token: `rt-${user}`, expires_at: new Date(0).toISOString() };
    await nango.registerConnection(name, user, expired);
    try {
      const { returnValue } = await nango.getConnection(name, user);
      assert.equal(returnValue.credentials['access_token'], `at-${user}`, name);
      assert.ok(name in GRANTING, `${name} granted nothing`);
    } catch (error) {
      if (!(error instanceof NangoClientError)) throw error;
      assertClear({ type: error.type, message: error.message }, name);
      assert.ok(name in REFUSING, `${name}: ${error.message}`);
    }
  });
});

test('T1, T2, T5, T6, D1: a code gives each user their own token or a clear error at every provider', async (t) => {
  const started = await start(t);
  await forAll(started, async (name, user) => {
    const { url, nango } = started.server;
    const userId = idOf(user, name);
    const { status, error } = await connectBrowser(url, { integration: name, userId, callback: `code=code-${user}` });
    assert.equal(status, name in GRANTING ? 'succeeded' : 'failed', `${name}: ${error?.message}`);
    if (status === 'failed') return assertClear(error, name);
    const { returnValue } = await nango.getConnection(name, userId);
    return assert.equal(returnValue.credentials['access_token'], `at-${user}`, name);
  });
});

test('D1: each connection keeps only values for its own user, whatever a step responds', async (t) => {
  const started = await start(t);
  await forAll(started, async (name, user) => {
    const { url, nango } = started.server;
    const userId = idOf(user, name);
    const begin = { integration: `step-${name}`, userId, callback: `code=code-${user}` };
    const { status, error } = await connectBrowser(url, begin);
    if (status === 'failed') return assertClear(error, name);
    const { additionalConfig } = (await nango.getConnection(`step-${name}`, userId)).returnValue;
    const kept = additionalConfig['token'];
    if (name in GRANTING) return assert.equal(kept, `at-${user}`, name);
    // A step accepts any text of the provider, but the text must hold no user’s token.
    return assert.doesNotMatch(String(kept), /at-u\d/, name);
  });
});

test('D1: hostile metadata, device and revocation endpoints cause clear errors, and the server lives', async (t) => {
  const started = await start(t);
  const { url, nango } = started.server;
  await forAll(started, async (name, user) => {
    const { status, error } = await connectBrowser(url, {
      integration: `issuer-${name}`,
      userId: idOf(user, name),
    });
    assert.notEqual(status, 'succeeded', name);
    assertClear(error, name);
    const device = await started.server.api('POST', '/api/device-authorizations', { integration: name, userId: user });
    assert.notEqual(device.status, 500, name);
    assert.doesNotMatch(JSON.stringify(device.body), /CANARY/, name);
    await nango.registerConnection(name, user, { access_token: `at-${user}`, refresh_token: `rt-${user}` });
    await nango.deleteConnection(name, user, { revoke: true }).catch((error: unknown) => {
      if (!(error instanceof NangoClientError)) throw error;
      assertClear({ type: error.type, message: error.message }, name);
    });
  });
});

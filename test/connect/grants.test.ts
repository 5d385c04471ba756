import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { jwtVerify } from 'jose';
import { startTestServer, type TestServer } from '../support/nango-server.ts';
import { startNodeOAuthServer } from '../support/node-oauth-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';

/** connect() without a popup: the request of the page’s SDK if it has credentials or needs none. */
async function connect({ url }: TestServer, integration: string, body: object = {}) {
  const response = await fetch(`${url}/oauth/attempts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: 'http://localhost:1' },
    body: JSON.stringify({ integration, userId: '1', ...body }),
  });
  const { status, error } = (await response.json()) as { status?: string; error?: { type: string; message: string } };
  return { status: error?.type ?? status, message: error?.message ?? '' };
}

const me = async ({ nango }: TestServer) => (await nango.request('acme', '1', { endpoint: 'me' })).returnValue.json;

async function startGrant(
  t: TestContext,
  grantType: string,
  options: Parameters<typeof startNodeOAuthServer>[1] = {},
  auth = '',
) {
  const provider = await startNodeOAuthServer(t, options);
  const clock = { now: Date.now() };
  const server = await startTestServer(t, {
    now: () => clock.now,
    environment: { ACME_SECRET: 'client-secret-CANARY' },
    integrations: `integrations:
  acme:
    oauth_client_id: client
    oauth_client_secret: \${ACME_SECRET}
    oauth_scopes: [read, write]
    auth:
      auth_mode: OAUTH2
      token_url: ${provider.url}/token
      token_params: { grant_type: ${grantType} }
${auth}
    requests: { base_url: '${provider.url}/', headers: { Authorization: 'Bearer \${access_token}' } }
`,
  });
  return { provider, server, clock };
}

test('client_credentials: connects without a browser, and refreshes with a new token request', async (t) => {
  const { provider, server, clock } = await startGrant(t, 'client_credentials');
  assert.equal((await connect(server, 'acme')).status, 'succeeded');
  assert.deepEqual(await me(server), { user: { id: 'client' }, scope: ['read', 'write'] });
  clock.now += 3_600_000;
  assert.deepEqual(await me(server), { user: { id: 'client' }, scope: ['read', 'write'] });
  assert.deepEqual(provider.granted, ['client_credentials', 'client_credentials']);
});

test('client_credentials: an empty object requests tokens, from the SDK or from a page without a popup', async (t) => {
  const { provider, server } = await startGrant(t, 'client_credentials');
  await server.nango.registerConnection('acme', '1', {});
  assert.equal((await connect(server, 'acme', { userId: '2', credentials: {} })).status, 'succeeded');
  assert.equal(
    (await connect(server, 'acme', { credentials: { access_token: 'planted' } })).status,
    'invalid_credentials',
  );
  assert.deepEqual(provider.granted, ['client_credentials', 'client_credentials']);
  assert.equal((await server.nango.getConnections()).returnValue.length, 2);
});

const LOGIN = { username: 'ada@example.com', password: 'päss+wörd %&=' };

test('password: it comes from the page and is discarded, and the refresh token refreshes', async (t) => {
  const { provider, server, clock } = await startGrant(t, 'password');
  assert.equal((await connect(server, 'acme', { credentials: LOGIN })).status, 'succeeded');
  assert.deepEqual(await me(server), { user: { id: 'ada@example.com' }, scope: ['read', 'write'] });
  const { credentials } = (await server.nango.getConnection('acme', '1')).returnValue;
  assert.ok(!JSON.stringify(credentials).includes('wörd'));
  clock.now += 3_600_000;
  assert.deepEqual(await me(server), { user: { id: 'ada@example.com' }, scope: ['read', 'write'] });
  assert.deepEqual(provider.granted, ['password', 'refresh_token']);
});

test('password: a wrong one is invalid_credentials, a missing one is named, and nothing is stored', async (t) => {
  const { server } = await startGrant(t, 'password');
  const wrong = await connect(server, 'acme', { credentials: { ...LOGIN, password: 'wrong-CANARY' } });
  assert.equal(wrong.status, 'invalid_credentials');
  assert.match(wrong.message, /does not accept/);
  assert.deepEqual(await connect(server, 'acme'), {
    status: 'invalid_credentials',
    message:
      '"acme" prompts its user for username, password: ' +
      "connect('acme', userId, { credentials: { username, password } }).",
  });
  assert.match(
    (await connect(server, 'acme', { credentials: { username: 'a' } })).message,
    /password \(Password\) is required/,
  );
  assert.equal(
    (await connect(server, 'acme', { credentials: { access_token: 'planted' } })).status,
    'invalid_credentials',
  );
  assert.deepEqual((await server.nango.getConnections()).returnValue, []);
  assert.ok(!server.log().includes('wrong-CANARY'));
});

for (const [keep, outcome] of [
  [true, 'renewed'],
  [false, 'needs_reconnect'],
] as const) {
  test(`password without refresh tokens: keep_password: ${keep} means ${outcome}`, async (t) => {
    const { provider, server, clock } = await startGrant(
      t,
      'password',
      { refreshTokens: false },
      `      keep_password: ${keep}`,
    );
    await server.nango.registerConnection('acme', '1', LOGIN);
    clock.now += 3_600_000;
    if (!keep) return assert.rejects(me(server), { type: 'needs_reconnect' });
    assert.deepEqual(await me(server), { user: { id: 'ada@example.com' }, scope: ['read', 'write'] });
    assert.deepEqual(provider.granted, ['password', 'password']);
  });
}

const KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = KEYS.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** A token endpoint that verifies assertions with a separate implementation, like that of Google. */
async function startServiceAccounts(
  t: TestContext,
  integration: (url: string) => string,
  environment: Record<string, string> = {},
) {
  let answers = 0;
  const provider = await startScriptedProvider(t, async ({ form, path }) => {
    if (path !== '/token') return { status: 404 };
    assert.equal(form.get('grant_type'), GRANT);
    try {
      const { payload, protectedHeader } = await jwtVerify(form.get('assertion') ?? '', KEYS.publicKey, {
        audience: `${provider.url}/token`,
        currentDate: new Date(clock.now),
      });
      claims.push({ ...payload, kid: protectedHeader.kid });
      answers += 1;
      return { body: { access_token: `at-${answers}`, token_type: 'Bearer', expires_in: 3600 } };
    } catch {
      return { status: 400, body: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } };
    }
  });
  const clock = { now: Date.now() };
  const claims: Record<string, unknown>[] = [];
  const server = await startTestServer(t, {
    integrations: integration(provider.url),
    environment,
    now: () => clock.now,
  });
  return { server, provider, clock, claims };
}

test('jwt-bearer with the user’s service account key signs each refresh, and a wrong key is rejected', async (t) => {
  const { server, clock, claims } = await startServiceAccounts(
    t,
    (url) => `integrations:
  acme:
    oauth_scopes: [a, b]
    auth:
      auth_mode: OAUTH2
      token_url: ${url}/token
      token_params: { grant_type: '${GRANT}' }
      credentials:
        client_email: { label: Service account, pattern: '.+@.+' }
        private_key: { label: Private key }
        private_key_id: { optional: true }
      assertion:
        key: \${raw.private_key}
        key_id: \${raw.private_key_id}
        claims: { iss: '\${raw.client_email}', sub: '\${config.subject}', aud: '\${token_url}', scope: '\${scope}' }
        lifetime_seconds: 3600
    config: { subject: { label: User to act for } }
    requests: { base_url: '${url}/' }
`,
  );
  const key = { client_email: 'robot@project', private_key: PEM, private_key_id: 'k1' };
  const additionalConfig = { subject: 'ada@example.com' };
  assert.match(
    (await connect(server, 'acme', { credentials: key })).message,
    /subject \(User to act for\) is required/,
  );
  assert.equal((await connect(server, 'acme', { credentials: key, additionalConfig })).status, 'succeeded');
  clock.now += 3_600_000;
  const { credentials } = (await server.nango.getConnection('acme', '1')).returnValue;
  assert.equal(credentials['access_token'], 'at-2');
  assert.ok(!JSON.stringify(credentials).includes('PRIVATE KEY'));
  const iat = Math.floor(clock.now / 1000);
  assert.deepEqual(claims[1], {
    iss: 'robot@project',
    sub: 'ada@example.com',
    aud: claims[1]?.['aud'],
    scope: 'a b',
    iat,
    exp: iat + 3600,
    kid: 'k1',
  });
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
  const refused = await connect(server, 'acme', { credentials: { ...key, private_key: other }, additionalConfig });
  assert.equal(refused.status, 'invalid_credentials');
  assert.match(refused.message, /Invalid JWT Signature/);
  const broken = await connect(server, 'acme', { credentials: { ...key, private_key: 'CANARY' }, additionalConfig });
  assert.deepEqual(broken, { status: 'invalid_value', message: 'The key must be an RSA private key in PEM.' });
});

test('jwt-bearer with the application’s own key prompts nobody', async (t) => {
  const { server, claims } = await startServiceAccounts(
    t,
    (url) => `integrations:
  acme:
    oauth_client_id: robot@project
    oauth_client_secret: \${KEY}
    oauth_scopes: []
    auth:
      auth_mode: OAUTH2
      authorization_method: none
      token_url: ${url}/token
      token_params: { grant_type: '${GRANT}' }
      assertion:
        key: \${oauth_client_secret}
        claims: { iss: '\${oauth_client_id}', aud: '\${token_url}' }
    requests: { base_url: '${url}/' }
`,
    { KEY: PEM },
  );
  assert.equal((await connect(server, 'acme')).status, 'succeeded');
  assert.equal(claims[0]?.['iss'], 'robot@project');
});

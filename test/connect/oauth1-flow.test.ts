import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { findOauthlib } from '../support/oauthlib.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

// An OAuth 1.0a provider on oauthlib’s server side. Some checkouts have its script beside them.
const PROVIDER = join(import.meta.dirname, '../../../shared/peers/oauth1_provider.py');
const PYTHON = findOauthlib();
const missing = !existsSync(PROVIDER)
  ? 'the provider script is not beside this checkout'
  : PYTHON === undefined
    ? 'python3-oauthlib is not installed'
    : false;

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

async function startOauthlibProvider(t: TestContext): Promise<string> {
  const port = await freePort();
  const folder = temporaryFolder(t, { 'public.pem': publicKey.export({ type: 'spki', format: 'pem' }).toString() });
  const child = spawn(PYTHON ?? '', [PROVIDER, String(port)], {
    env: { ...process.env, RSA_PUBLIC_KEY: join(folder, 'public.pem') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return `http://127.0.0.1:${port}`;
}

function integration(
  url: string,
  { clientId, method, auth = '', headers = '' }: { clientId: string; method: string; auth?: string; headers?: string },
): string {
  return `integrations:
  acme:
    oauth_client_id: ${clientId}
    oauth_client_secret: \${CLIENT_SECRET}
    oauth_scopes: []
    auth:
      auth_mode: OAUTH1
      request_url: ${url}/request_token
      authorization_url: ${url}/authorize
      token_url: ${url}/access_token
      signature_method: ${method}
${auth}
    requests:
      base_url: ${url}/resource
${headers}
`;
}

async function connect(server: TestServer, suffix = ''): Promise<{ attempt: string; status: number }> {
  const agent = new UserAgent();
  const { connectUrl, attempt } = await beginAttempt(server.url);
  const authorize = (await agent.request(connectUrl)).headers.get('location') ?? assert.fail('no redirect');
  const callback =
    (await fetch(authorize + suffix, { redirect: 'manual' })).headers.get('location') ?? assert.fail('no callback');
  return { attempt, status: (await agent.request(callback)).status };
}

describe('against a provider built on oauthlib', { skip: missing }, () => {
  for (const [clientId, method, secret] of [
    ['hmac', 'HMAC-SHA1', 'hmac-secret'],
    ['hmac', 'HMAC-SHA256', 'hmac-secret'],
    ['rsa', 'RSA-SHA1', PEM],
    ['rsa', 'RSA-SHA256', PEM],
    ['plain', 'PLAINTEXT', 'plain-secret'],
  ] as const) {
    test(`connects and signs requests with ${method}`, async (t) => {
      const url = await startOauthlibProvider(t);
      const server = await startTestServer(t, {
        integrations: integration(url, { clientId, method }),
        environment: { CLIENT_SECRET: secret },
      });
      const { attempt, status } = await connect(server);
      assert.equal(status, 200, JSON.stringify(await attemptResult(server.url, attempt)));
      const send = async (request: Parameters<TestServer['nango']['request']>[2]) =>
        (await server.nango.request('acme', '1', request)).returnValue;
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      for (const request of [
        { endpoint: 'x' },
        {
          endpoint: "a b'()*!~?q=1&q=2&empty=&p%20l=a+b".replace(' ', '%20'),
          params: { 'ü&=': ['a b', '+', '%', "'"], z: '' },
        },
        { method: 'POST' as const, endpoint: 'form?q=1', body: "a=1&a=2&b=%C3%BC+x&c=&d='", headers: form },
        { method: 'PUT' as const, endpoint: 'json', body: { a: 'not signed' } },
        { method: 'DELETE' as const, endpoint: 'x', params: { a: 1 } },
      ]) {
        const { status: code, data } = await send(request);
        assert.equal(code, 200, `${JSON.stringify(request)} ${data}`);
      }
    });
  }

  test('a wrong secret is token_exchange_failed', async (t) => {
    const url = await startOauthlibProvider(t);
    const server = await startTestServer(t, {
      integrations: integration(url, { clientId: 'hmac', method: 'HMAC-SHA1' }),
      environment: { CLIENT_SECRET: 'wrong-CANARY' },
    });
    const { connectUrl, attempt } = await beginAttempt(server.url);
    assert.equal((await fetch(connectUrl, { redirect: 'manual' })).status, 502);
    const { error } = await attemptResult(server.url, attempt);
    assert.equal(error?.type, 'token_exchange_failed');
    assert.ok(!JSON.stringify(error).includes('CANARY'));
  });

  test('F15: a denied consent is access_denied', async (t) => {
    const url = await startOauthlibProvider(t);
    const server = await startTestServer(t, {
      integrations: integration(url, { clientId: 'hmac', method: 'HMAC-SHA1' }),
      environment: { CLIENT_SECRET: 'hmac-secret' },
    });
    const { attempt } = await connect(server, '&deny=1');
    assert.equal((await attemptResult(server.url, attempt)).error?.type, 'access_denied');
  });
});

interface Scripted {
  readonly confirmed?: string;
  readonly headers?: string;
  readonly auth?: string;
  readonly token?: { status?: number; body: string };
}

async function startScripted(
  t: TestContext,
  { confirmed = 'oauth_callback_confirmed=true', headers = '', auth: more = '', token }: Scripted = {},
) {
  const provider = await startScriptedProvider(t, ({ path }) => {
    if (path === '/request_token')
      return {
        headers: { 'content-type': 'text/plain' },
        body: `oauth_token=temp&oauth_token_secret=temp-secret&${confirmed}`,
      };
    if (path === '/access_token' && token) return token;
    if (path === '/access_token') return { body: 'oauth_token=tok&oauth_token_secret=tok-secret&screen_name=ada' };
    return { body: {} };
  });
  const auth =
    "      request_params: { x: '1' }\n      authorization_params: { name: App }\n" +
    `      token_http_method: GET\n${more}`;
  const server = await startTestServer(t, {
    integrations: integration(provider.url, { clientId: 'ck', method: 'PLAINTEXT', auth, headers }).replace(
      'oauth_scopes: []',
      'oauth_scopes: [a, b]',
    ),
    environment: { CLIENT_SECRET: 'cs' },
  });
  const agent = new UserAgent();
  const { connectUrl, attempt } = await beginAttempt(server.url);
  const response = await agent.request(connectUrl);
  const location = response.headers.get('location');
  return { provider, server, agent, attempt, response, authorize: location ? new URL(location) : undefined };
}

test('the three steps send the parameters of RFC 5849 and the configuration', async (t) => {
  const { provider, server, agent, authorize } = await startScripted(t);
  const [request] = provider.requests;
  assert.equal(request?.body, 'x=1');
  const callback = decodeURIComponent(/oauth_callback="([^"]+)"/.exec(request?.headers.authorization ?? '')?.[1] ?? '');
  assert.ok(callback.startsWith(`${server.url}/oauth/callback?state=`));
  assert.deepEqual(Object.fromEntries(authorize?.searchParams ?? []), {
    name: 'App',
    scope: 'a b',
    oauth_token: 'temp',
  });
  assert.equal((await agent.request(`${callback}&oauth_token=temp&oauth_verifier=v`)).status, 200);
  assert.equal(provider.requests[1]?.method, 'GET');
  assert.match(
    provider.requests[1]?.headers.authorization ?? '',
    /oauth_token="temp".*oauth_verifier="v".*oauth_signature="cs%26temp-secret"/,
  );
  const { credentials } = (await server.nango.getConnection('acme', '1')).returnValue;
  assert.deepEqual(credentials, {
    oauth_token: 'tok',
    oauth_token_secret: 'tok-secret',
    raw: { oauth_token: 'tok', oauth_token_secret: 'tok-secret', screen_name: 'ada' },
  });
});

test('F15: a callback that is not confirmed is rejected (OAuth 1.0 session fixation)', async (t) => {
  const { response, server, attempt } = await startScripted(t, { confirmed: 'oauth_callback_confirmed=false' });
  assert.equal(response.status, 502);
  assert.match((await attemptResult(server.url, attempt)).error?.message ?? '', /oauth_callback_confirmed/);
});

for (const [confirmation, accepted, refused] of [
  ['exact', ['true'], ['True', '1', '']],
  ['any', ['true', 'True', '1'], ['false', 'False', '0', '']],
  ['optional', ['True', '1', ''], ['false', '0']],
] as const)
  test(`callback_confirmation: ${confirmation} accepts only ${accepted.join(', ') || 'nothing'}`, async (t) => {
    for (const value of [...accepted, ...refused]) {
      const confirmed = value === '' ? 'x=y' : `oauth_callback_confirmed=${value}`;
      const auth = `      callback_confirmation: ${confirmation}`;
      const { authorize } = await startScripted(t, { confirmed, auth });
      assert.equal(
        authorize !== undefined,
        accepted.some((word) => word === value),
        value,
      );
    }
  });

const callbackOf = ({ provider }: Awaited<ReturnType<typeof startScripted>>) =>
  decodeURIComponent(/oauth_callback="([^"]+)"/.exec(provider.requests[0]?.headers.authorization ?? '')?.[1] ?? '');

for (const [name, query, type] of [
  ['another session’s token', 'oauth_token=other&oauth_verifier=v', 'provider_error'],
  ['no token', 'oauth_verifier=v', 'provider_error'],
  ['an empty token', 'oauth_token=&oauth_verifier=v', 'provider_error'],
  ['no verifier', 'oauth_token=temp', 'provider_error'],
  ['denied', 'denied=temp', 'access_denied'],
  ['a verifier "denied"', 'oauth_token=temp&oauth_verifier=denied', 'access_denied'],
  ['oauth_problem user_refused', 'oauth_token=temp&oauth_problem=user_refused', 'access_denied'],
  ['oauth_problem permission_denied', 'oauth_problem=permission_denied', 'access_denied'],
  ['the provider’s own word', 'oauth_token=temp&error=nope', 'access_denied'],
  ['another problem', 'oauth_problem=token_expired', 'provider_error'],
] as const) {
  test(`F15: ${name} is ${type}`, async (t) => {
    const started = await startScripted(t, { auth: '      access_denied_errors: [nope]' });
    const { provider, server, agent, attempt } = started;
    assert.equal((await agent.request(`${callbackOf(started)}&${query}`)).status, 400);
    assert.equal((await attemptResult(server.url, attempt)).error?.type, type);
    assert.equal(provider.requests.length, 1);
  });
}

test('F15: a rejection by the token endpoint is access_denied, with the provider’s own message', async (t) => {
  const started = await startScripted(t, { token: { status: 401, body: 'oauth_problem=permission_denied' } });
  await started.agent.request(`${callbackOf(started)}&oauth_token=temp&oauth_verifier=permission`);
  assert.deepEqual((await attemptResult(started.server.url, started.attempt)).error, {
    type: 'access_denied',
    message: 'Access was denied (permission_denied).',
  });
});

test('an empty token secret is valid (RFC 5849 §3.4.2), whether granted or registered', async (t) => {
  const started = await startScripted(t, { token: { body: 'oauth_token=tok&oauth_token_secret=' } });
  const { server, agent, provider } = started;
  assert.equal((await agent.request(`${callbackOf(started)}&oauth_token=temp&oauth_verifier=v`)).status, 200);
  await server.nango.registerConnection('acme', 'r', { oauth_token: 'tok', oauth_token_secret: '' });
  for (const userId of ['1', 'r']) {
    await server.nango.request('acme', userId, { endpoint: 'x' });
    assert.match(provider.requests.at(-1)?.headers.authorization ?? '', /oauth_signature="cs%26"/);
  }
});

test('a configured Authorization header is sent unsigned, and all other requests get a new signature', async (t) => {
  const registered = { oauth_token: 'tok', oauth_token_secret: 'sec' };
  const custom = await startScripted(t, {
    headers: `      headers: { authorization: 'OAuth oauth_token="\${oauth_token}", k="\${oauth_client_id}"' }`,
  });
  await custom.server.nango.registerConnection('acme', 'r', registered);
  await custom.server.nango.request('acme', 'r', { endpoint: 'x' });
  assert.equal(custom.provider.requests.at(-1)?.headers.authorization, 'OAuth oauth_token="tok", k="ck"');

  const signed = await startScripted(t);
  await signed.server.nango.registerConnection('acme', 'r', registered);
  for (let count = 0; count < 2; count += 1)
    await signed.server.nango.request('acme', 'r', { endpoint: 'x', headers: { Authorization: 'mine' } });
  const nonces = signed.provider.requests
    .slice(-2)
    .map(({ headers }) => /oauth_nonce="([^"]+)"/.exec(headers.authorization ?? '')?.[1]);
  assert.ok(nonces[0] && nonces[1] && nonces[0] !== nonces[1]);
});

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { authorizationServerIntegration, startAuthorizationServer } from '../support/authorization-server.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/nango-server.ts';
import {
  scriptedIntegration,
  startScriptedProvider,
  type ScriptedResponse,
  type ScriptedProvider,
} from '../support/scripted-provider.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

const KEY_PAIR = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = KEY_PAIR.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

interface Flow {
  readonly server: TestServer;
  readonly provider: ScriptedProvider;
  readonly agent: UserAgent;
}

async function startFlow(
  t: TestContext,
  {
    token = { body: { access_token: 'at-CANARY', token_type: 'bearer', refresh_token: 'rt-CANARY', expires_in: 3600 } },
    auth = '',
    config = '',
    now,
  }: { token?: ScriptedResponse; auth?: string; config?: string; now?: () => number } = {},
): Promise<Flow> {
  const provider = await startScriptedProvider(t, ({ path }) => (path === '/token' ? token : { status: 404 }));
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url, { auth })}`,
    config,
    ...(now ? { now } : {}),
  });
  return { server, provider, agent: new UserAgent() };
}

/** Continues to the provider. Resolves to the authorization request’s parameters and the callback’s address. */
async function reachProvider({ server, agent }: Flow, options: Parameters<typeof beginAttempt>[1] = {}) {
  const begun = await beginAttempt(server.url, options);
  const response = await agent.request(begun.connectUrl);
  const url = new URL(response.headers.get('location') ?? 'about:blank');
  const state = url.searchParams.get('state') ?? '';
  return {
    attempt: begun.attempt,
    connectUrl: begun.connectUrl,
    response,
    url,
    state,
    callback: `${server.url}/oauth/callback?state=${state}`,
  };
}

async function assertNothingStored({ server }: Flow): Promise<void> {
  assert.deepEqual((await server.nango.getConnectionsForIntegration('acme')).returnValue, []);
}

describe('against a real authorization server', () => {
  for (const [method, auth, settings] of [
    ['client_secret_basic', '', '    oauth_client_secret: ${AS_SECRET}'],
    ['client_secret_post', '      authorization_method: body', '    oauth_client_secret: ${AS_SECRET}'],
    ['none', '      authorization_method: none', ''],
    [
      'private_key_jwt',
      '      authorization_method: private_key_jwt\n      client_assertion_key_id: k1',
      '    oauth_client_secret: ${AS_SECRET}',
    ],
    ['client_secret_jwt', '      authorization_method: client_secret_jwt', '    oauth_client_secret: ${AS_SECRET}'],
  ] as const) {
    test(`connects with ${method}, refreshes with rotation, calls the API, revokes`, async (t) => {
      let clock = Date.now();
      const environment: Record<string, string> = {};
      const port = await freePort();
      const as = await startAuthorizationServer(t, {
        redirectUri: `http://localhost:${port}/oauth/callback`,
        authenticationMethod: method,
        ...(method === 'private_key_jwt'
          ? { clientKey: { ...KEY_PAIR.publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' } }
          : {}),
        accessTokenSeconds: 100,
      });
      environment['AS_SECRET'] = method === 'private_key_jwt' ? PEM : as.clientSecret;
      const server = await startTestServer(t, {
        integrations: authorizationServerIntegration(as, {
          auth: `${auth}\n      revocation_url: ${as.issuer}/token/revocation`,
          settings,
        }),
        environment,
        now: () => clock,
        port,
      });
      const agent = new UserAgent();
      const { attempt, connectUrl } = await beginAttempt(server.url);
      const consent = await agent.visit(connectUrl);
      const { url } = await agent.visit(`${consent.url}/approve`, { method: 'POST', until: /\/oauth\/callback/ });
      const done = await agent.request(url);
      assert.equal(done.status, 200, await done.text());
      assert.equal((await attemptResult(server.url, attempt)).status, 'succeeded');

      const first = (await server.nango.getConnection('acme', '1')).returnValue;
      const api = (await server.nango.request('acme', '1', { endpoint: 'me' })).returnValue;
      assert.equal(api.status, 200, api.data);
      assert.equal((api.json as { sub: string }).sub, 'ada');

      clock += 45_000;
      assert.equal(
        (await server.nango.getConnection('acme', '1')).returnValue.credentials['access_token'],
        first.credentials['access_token'],
      );
      clock += 10_000;
      const tokens = await Promise.all(Array.from({ length: 20 }, () => server.nango.getConnection('acme', '1')));
      const refreshed = new Set(tokens.map(({ returnValue }) => returnValue.credentials['access_token']));
      assert.equal(refreshed.size, 1);
      assert.ok(!refreshed.has(first.credentials['access_token']));
      clock += 60_000;
      const again = (await server.nango.getConnection('acme', '1')).returnValue.credentials;
      assert.ok(!refreshed.has(again['access_token']));
      assert.equal((await server.nango.request('acme', '1', { endpoint: 'me' })).returnValue.status, 200);
      const bearer = { authorization: `Bearer ${String(again['access_token'])}` };
      assert.equal((await fetch(`${as.issuer}/me`, { headers: bearer })).status, 200);
      await server.nango.deleteConnection('acme', '1', { revoke: true });
      assert.equal((await fetch(`${as.issuer}/me`, { headers: bearer })).status, 401);
    });
  }
});

test('the authorization request has the parameters of RFC 6749, RFC 7636 and the configuration', async (t) => {
  const flow = await startFlow(t, {
    auth: `      scope_separator: ','\n      authorization_params: { access_type: offline, state: evil }`,
  });
  const { url, response } = await reachProvider(flow);
  const query = Object.fromEntries(url.searchParams);
  assert.match(query['state'] ?? '', /^[\w-]{43}$/);
  assert.match(query['code_challenge'] ?? '', /^[\w-]{43}$/);
  assert.deepEqual(
    { ...query, state: '', code_challenge: '' },
    {
      response_type: 'code',
      client_id: 'client-1',
      redirect_uri: `${flow.server.url}/oauth/callback`,
      scope: 'read,write',
      access_type: 'offline',
      state: '',
      code_challenge: '',
      code_challenge_method: 'S256',
    },
  );
  assert.equal(response.status, 303);
  assert.match(
    response.headers.get('set-cookie') ?? '',
    /^nango_attempt_[\w-]+=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/,
  );
  assert.equal(response.headers.get('referrer-policy'), 'no-referrer');
  assert.equal(response.headers.get('cache-control'), 'no-store');
});

test('F5: the token request sends the verifier of the challenge, and the browser never sees it', async (t) => {
  const flow = await startFlow(t);
  const { callback, url, response } = await reachProvider(flow);
  await flow.agent.request(`${callback}&code=c1`);
  const { form, headers } = flow.provider.requests[0] ?? assert.fail();
  const verifier = form.get('code_verifier') ?? '';
  assert.equal(createHash('sha256').update(verifier).digest('base64url'), url.searchParams.get('code_challenge'));
  assert.ok(!url.href.includes(verifier) && !(response.headers.get('set-cookie') ?? '').includes(verifier));
  assert.deepEqual(Object.fromEntries(form), {
    grant_type: 'authorization_code',
    code: 'c1',
    redirect_uri: `${flow.server.url}/oauth/callback`,
    code_verifier: verifier,
  });
  assert.equal(
    headers['authorization'],
    `Basic ${Buffer.from('client-1:client-secret-CANARY-7f3a').toString('base64')}`,
  );
});

test('F5: each attempt has its own verifier, which no page and no result shows', async (t) => {
  const flow = await startFlow(t);
  const shown: string[] = [];
  for (const userId of ['1', '2']) {
    const { attempt, callback, response, url } = await reachProvider(flow, { userId });
    const page = await flow.agent.request(`${callback}&code=c1`);
    const result = JSON.stringify(await attemptResult(flow.server.url, attempt));
    shown.push(url.href, JSON.stringify([...response.headers, ...page.headers]), await page.text(), result);
  }
  const verifiers = flow.provider.requests.map(({ form }) => form.get('code_verifier') ?? assert.fail());
  assert.equal(new Set(verifiers).size, 2);
  for (const verifier of verifiers) {
    // RFC 7636 §4.1 requires at least 256 bits.
    assert.match(verifier, /^[\w-]{43,128}$/);
    assert.ok(![...shown, flow.server.log()].some((text) => text.includes(verifier)));
  }
});

test('F5: a code of another attempt is rejected because its verifier does not match', async (t) => {
  const port = await freePort();
  const as = await startAuthorizationServer(t, { redirectUri: `http://localhost:${port}/oauth/callback` });
  const integrations = authorizationServerIntegration(as);
  const server = await startTestServer(t, { integrations, environment: { AS_SECRET: as.clientSecret }, port });
  /** Approves the consent. Resolves to the callback, which is not opened yet. */
  const consent = async (userId: string) => {
    const agent = new UserAgent();
    const { connectUrl, attempt } = await beginAttempt(server.url, { userId });
    const { url } = await agent.visit(connectUrl);
    const approved = await agent.visit(`${url}/approve`, { method: 'POST', until: /\/oauth\/callback/ });
    return { agent, attempt, callback: new URL(approved.url) };
  };
  const [attacker, victim] = [await consent('attacker'), await consent('victim')];
  victim.callback.searchParams.set('code', attacker.callback.searchParams.get('code') ?? '');
  await victim.agent.request(victim.callback.href);
  assert.equal((await attemptResult(server.url, victim.attempt)).error?.type, 'token_exchange_failed');
  assert.deepEqual((await server.nango.getConnectionsForUserId('victim')).returnValue, []);
});

test('token_params, JSON bodies and PKCE off are applied', async (t) => {
  const flow = await startFlow(t, {
    auth:
      '      body_format: json\n      authorization_method: body\n' +
      '      code_challenge_method: none\n      token_params: { audience: x }',
  });
  const { callback, url } = await reachProvider(flow);
  assert.equal(url.searchParams.get('code_challenge'), null);
  await flow.agent.request(`${callback}&code=c1`);
  const { body, headers } = flow.provider.requests[0] ?? assert.fail();
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(body), {
    audience: 'x',
    grant_type: 'authorization_code',
    code: 'c1',
    redirect_uri: `${flow.server.url}/oauth/callback`,
    client_id: 'client-1',
    client_secret: 'client-secret-CANARY-7f3a',
  });
});

test('a provider’s own names, paths, units, headers and method are applied', async (t) => {
  const clock = 1_800_000_000_000;
  const flow = await startFlow(t, {
    now: () => clock,
    token: { body: { data: { key: 'at', again: 'rt', life: 90_000 }, note: 'x' } },
    auth: `      authorization_parameter_names: { client_id: app_key, scope: perms }
      callback_parameter_names: { code: auth_code }
      authorization_method: body
      token_parameter_names: { client_id: app_key, client_secret: app_secret, redirect_uri: '' }
      token_response_paths: { access_token: data.key, refresh_token: data.again, expires_in: data.life }
      expires_in_unit: milliseconds
      token_http_method: GET
      token_headers: { X-Version: '2' }`,
  });
  const { callback, url } = await reachProvider(flow);
  assert.deepEqual(
    [url.searchParams.get('app_key'), url.searchParams.get('perms'), url.searchParams.get('client_id')],
    ['client-1', 'read write', null],
  );
  assert.equal((await flow.agent.request(`${callback}&auth_code=c1`)).status, 200);
  const { method, query, headers, body } = flow.provider.requests[0] ?? assert.fail();
  const { code_verifier, ...sent } = Object.fromEntries(query);
  assert.ok(code_verifier);
  assert.deepEqual(sent, {
    grant_type: 'authorization_code',
    code: 'c1',
    app_key: 'client-1',
    app_secret: 'client-secret-CANARY-7f3a',
  });
  assert.deepEqual([method, headers['x-version'], headers['content-type'], body], ['GET', '2', undefined, '']);
  const { credentials } = (await flow.server.nango.getConnection('acme', '1')).returnValue;
  assert.deepEqual(
    [credentials['access_token'], credentials['refresh_token'], credentials['expires_at']],
    ['at', 'rt', new Date(clock + 90_000).toISOString()],
  );
});

test('F1: a callback from a browser that did not begin the flow is rejected, and ends the session', async (t) => {
  const flow = await startFlow(t);
  const { callback, attempt } = await reachProvider(flow);
  const stranger = await new UserAgent().request(`${callback}&code=c1`);
  assert.equal(stranger.status, 400);
  assert.doesNotMatch(await stranger.text(), /"origin":"http/);
  assert.equal((await attemptResult(flow.server.url, attempt)).error?.type, 'invalid_state');
  assert.equal((await flow.agent.request(`${callback}&code=c1`)).status, 400);
  assert.equal(flow.provider.requests.length, 0);
  await assertNothingStored(flow);
});

test('F1: only the cookie of the browser that began the flow finishes it', async (t) => {
  const flow = await startFlow(t);
  const own = await reachProvider(flow);
  const [name = ''] = (own.response.headers.get('set-cookie') ?? '').split('=', 1);
  assert.match(own.response.headers.get('set-cookie') ?? '', /; HttpOnly; SameSite=Lax/);
  // Names and values that an attacker can know or choose.
  const other = await reachProvider(flow, { userId: '2' });
  const [, otherValue = ''] = /=([^;]*)/.exec(other.response.headers.get('set-cookie') ?? '') ?? [];
  for (const value of [otherValue, own.state, own.url.searchParams.get('code_challenge') ?? '', 'x', '']) {
    const flowOfCookie = await reachProvider(flow);
    const cookieName = (flowOfCookie.response.headers.get('set-cookie') ?? '').split('=', 1)[0] ?? '';
    assert.notEqual(cookieName, name);
    const given = value === own.state ? flowOfCookie.state : value;
    const response = await fetch(`${flowOfCookie.callback}&code=c1`, { headers: { cookie: `${cookieName}=${given}` } });
    assert.equal(response.status, 400, given);
  }
  assert.equal(flow.provider.requests.length, 0);
});

test('F1: with https, only a cookie that is bound to this host finishes the flow', async (t) => {
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at' } }));
  const rootUrl = 'https://nango.example.com';
  const integrations = `integrations:${scriptedIntegration(provider.url)}`;
  const server = await startTestServer(t, { rootUrl, integrations });
  const { token } = (await server.nango.createConnectSession({ userId: '1' })).returnValue;
  for (const [prefix, expected] of [
    ['', 400],
    ['__Secure-', 400],
    ['__Host-', 200],
  ] as const) {
    const { attempt, nonce } = await beginAttempt(server.url, { token });
    const begun = await postBegin(server.url, { attempt, nonce });
    const [, name, value] = /^__Host-([^=]+)=([^;]+)/.exec(begun.headers.get('set-cookie') ?? '') ?? [];
    const { authorizationUrl } = (await begun.json()) as { authorizationUrl: string };
    const state = new URL(authorizationUrl).searchParams.get('state');
    const cookie = `${prefix}${name}=${value}`;
    const response = await fetch(`${server.url}/oauth/callback?state=${state}&code=c`, { headers: { cookie } });
    assert.equal(response.status, expected, prefix);
  }
});

/** The page at an attempt’s address, as text. */
function postBegin(serverUrl: string, body: object, origin: string | null = 'https://nango.example.com') {
  return fetch(`${serverUrl}/oauth/connect/acme`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(origin === null ? {} : { origin }) },
    body: JSON.stringify(body),
  });
}

describe('F2: who may connect', () => {
  const publicRoot = {
    rootUrl: 'https://nango.example.com',
    integrations: `integrations:${scriptedIntegration('https://acme.example')}`,
  };

  test('a public root requires a connect session token, and the error says how to create one', async (t) => {
    const server = await startTestServer(t, publicRoot);
    const refused = await beginAttempt(server.url);
    assert.equal(refused.response.status, 401);
    assert.match(refused.error?.message ?? '', /createConnectSession/);
    assert.equal((await beginAttempt(server.url, { origin: null })).response.status, 401);
    assert.equal((await fetch(`${server.url}/oauth/connect/acme?user_id=1`, { redirect: 'manual' })).status, 401);
  });

  test('a token is valid only for its user, its integrations and its origin', async (t) => {
    const server = await startTestServer(t, publicRoot);
    const { token } = (
      await server.nango.createConnectSession({ userId: '1', integrations: ['acme'], origin: 'https://app.example' })
    ).returnValue;
    const status = async (options: Parameters<typeof beginAttempt>[1]) =>
      (await beginAttempt(server.url, { token, origin: 'https://app.example', ...options })).response.status;
    assert.equal(await status({}), 201);
    assert.equal(await status({ userId: '2' }), 403);
    assert.equal(await status({ integration: 'other' }), 403);
    assert.equal(await status({ origin: 'https://evil.example' }), 403);
    assert.equal(await status({ origin: null }), 403);
    assert.equal(await status({ token: `${token}x` }), 401);
  });

  test('a token expires', async (t) => {
    let clock = Date.now();
    const server = await startTestServer(t, { ...publicRoot, now: () => clock });
    const { token } = (await server.nango.createConnectSession({ userId: '1', expiresInSeconds: 60 })).returnValue;
    clock += 60_000;
    assert.equal((await beginAttempt(server.url, { token })).response.status, 401);
  });

  test('on a public https root the cookie is bound to the host', async (t) => {
    const server = await startTestServer(t, publicRoot);
    const { token } = (await server.nango.createConnectSession({ userId: '1' })).returnValue;
    const { connectUrl, attempt, nonce } = await beginAttempt(server.url, { token });
    assert.ok(connectUrl.startsWith('https://nango.example.com/oauth/connect/acme?attempt='));
    const response = await postBegin(server.url, { attempt, nonce });
    assert.match(response.headers.get('set-cookie') ?? '', /^__Host-nango_attempt_.*; Secure$/);
  });

  test('F2, D9: the address of an attempt sends nobody to the provider without a proof or a click', async (t) => {
    const server = await startTestServer(t, publicRoot);
    const { token } = (await server.nango.createConnectSession({ userId: 'att<ack>er' })).returnValue;
    const begun = await beginAttempt(server.url, { token, userId: 'att<ack>er', origin: 'https://app.example' });
    const { attempt, nonce = '' } = begun;
    const address = begun.connectUrl.replace('https://nango.example.com', server.url);
    assert.ok(!begun.connectUrl.includes(nonce));
    // A mail scanner, or the victim, opens the link.
    for (const method of ['GET', 'HEAD', 'GET']) {
      const response = await fetch(address, { method, redirect: 'manual' });
      assert.deepEqual([response.status, response.headers.get('set-cookie')], [200, null]);
      if (method === 'GET')
        assert.match(await response.text(), /the account <b>att&lt;ack&gt;er<\/b> in <b>app\.example<\/b>/);
    }
    for (const [body, origin] of [
      [{ attempt }, 'https://nango.example.com'],
      [{ attempt, nonce: `${nonce}x` }, 'https://nango.example.com'],
      [{ attempt, nonce }, 'https://evil.example'],
      [{ attempt, nonce }, null],
      [{ attempt, confirmed: true }, 'https://evil.example'],
      [{ attempt, confirmed: true }, 'null'],
    ] as const) {
      const { status } = await postBegin(server.url, body, origin);
      assert.ok([400, 403].includes(status), JSON.stringify({ body, origin, status }));
    }
    const response = await postBegin(server.url, { attempt, confirmed: true });
    const { authorizationUrl } = (await response.json()) as { authorizationUrl: string };
    assert.match(authorizationUrl, /^https:\/\/acme\.example\/authorize\?/);
    assert.equal((await postBegin(server.url, { attempt, nonce })).status, 400);
  });

  test('F2: a link of another person, whether victim or attacker, never joins their accounts', async (t) => {
    const provider = await startScriptedProvider(t, ({ form }) => ({
      body: { access_token: `of-${form.get('code')}` },
    }));
    const integrations = `integrations:${scriptedIntegration(provider.url)}`;
    const server = await startTestServer(t, { rootUrl: publicRoot.rootUrl, integrations });
    const [attacker, victim] = [new UserAgent(), new UserAgent()];
    const begin = async (userId: string, agent: UserAgent) => {
      const { token } = (await server.nango.createConnectSession({ userId })).returnValue;
      const { attempt, nonce, connectUrl } = await beginAttempt(server.url, { token, userId });
      const address = connectUrl.replace(publicRoot.rootUrl, server.url);
      const go = async () => {
        const headers = { 'content-type': 'application/json', origin: publicRoot.rootUrl };
        const body = JSON.stringify({ attempt, nonce });
        const response = await agent.request(`${server.url}/oauth/connect/acme`, { method: 'POST', headers, body });
        const { authorizationUrl } = (await response.json()) as { authorizationUrl: string };
        return new URL(authorizationUrl).searchParams.get('state') ?? '';
      };
      return { address, go };
    };
    const callback = (state: string, code: string) => `${server.url}/oauth/callback?state=${state}&code=${code}`;

    // The victim opens the attacker’s link. The page asks a question, and binds nothing to the victim’s browser.
    const theirs = await begin('attacker', attacker);
    const opened = await victim.request(theirs.address);
    assert.deepEqual(
      [opened.status, opened.headers.get('location'), opened.headers.get('set-cookie')],
      [200, null, null],
    );
    // The victim finishes with the attacker’s own state and consent page.
    assert.equal((await victim.request(callback(await theirs.go(), 'victims-code'))).status, 400);

    // The attacker finishes the victim’s flow, with the link and with the state.
    const own = await begin('victim', victim);
    const state = await own.go();
    assert.equal((await attacker.request(own.address)).status, 400);
    assert.equal((await attacker.request(callback(state, 'attackers-code'))).status, 400);
    // After somebody else tried, the victim’s own return is rejected too.
    assert.equal((await victim.request(callback(state, 'victims-code'))).status, 400);
    assert.equal(provider.requests.length, 0);
    for (const userId of ['attacker', 'victim'])
      assert.deepEqual((await server.nango.getConnectionsForUserId(userId)).returnValue, []);
  });

  test('F2: on a loopback root a local Origin is not enough, the request must come from this machine', async (t) => {
    const { server } = await startFlow(t);
    const port = new URL(server.url).port;
    const send = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        const request = httpRequest(
          { host: 'localhost', port, path: '/oauth/attempts', method: 'POST', headers },
          (response) => resolve(response.resume().statusCode ?? 0),
        );
        request.on('error', reject).end(JSON.stringify({ integration: 'acme', userId: '1' }));
      });
    const local = { 'content-type': 'application/json', origin: 'http://localhost:8080' };
    assert.equal(await send(local), 201);
    for (const elsewhere of [
      { host: 'nango.internal' },
      { host: '192.168.1.5:3003' },
      { 'x-forwarded-for': '203.0.113.9' },
      { forwarded: 'for=203.0.113.9' },
      { via: '1.1 proxy' },
    ])
      assert.equal(await send({ ...local, ...elsewhere }), 401, JSON.stringify(elsewhere));
  });

  test('allow_connect_without_session permits connect() without a token, and logs a warning', async (t) => {
    const { server } = await startFlow(t, { config: 'allow_connect_without_session: true' });
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.9' };
    const body = JSON.stringify({ integration: 'acme', userId: '1' });
    assert.equal((await fetch(`${server.url}/oauth/attempts`, { method: 'POST', headers, body })).status, 201);
    assert.match(server.log(), /allow_connect_without_session is true: anyone who reaches the port/);
  });

  test('on a loopback root, pages of other machines need a token too', async (t) => {
    const { server } = await startFlow(t);
    assert.equal((await beginAttempt(server.url, { origin: 'https://evil.example' })).response.status, 401);
    assert.equal((await beginAttempt(server.url, { origin: 'null' })).response.status, 401);
    for (const origin of ['http://localhost:8080', 'http://127.0.0.1', 'http://app.localhost:1'])
      assert.equal((await beginAttempt(server.url, { origin })).response.status, 201, origin);
    const address = `${server.url}/oauth/connect/acme?user_id=1`;
    assert.equal((await fetch(address, { redirect: 'manual' })).status, 303);
    assert.equal(
      (await fetch(address, { redirect: 'manual', headers: { 'sec-fetch-site': 'cross-site' } })).status,
      401,
    );
  });
});

test('F3: a state works once, after a success and with two callbacks at once', async (t) => {
  const flow = await startFlow(t);
  const { callback } = await reachProvider(flow);
  const answers = await Promise.all([
    flow.agent.request(`${callback}&code=c1`),
    flow.agent.request(`${callback}&code=c1`),
  ]);
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400]);
  const replay = await flow.agent.request(`${callback}&code=c1`);
  assert.match(await replay.text(), /invalid_state/);
  assert.equal(flow.provider.requests.length, 1);
  assert.equal((await flow.server.nango.getConnectionsForUserId('1')).returnValue.length, 1);
});

test('F3: an attempt opens once', async (t) => {
  const flow = await startFlow(t);
  const { connectUrl } = await reachProvider(flow);
  assert.equal((await flow.agent.request(connectUrl)).status, 400);
  const { token } = (await flow.server.nango.createConnectSession({ userId: '1' })).returnValue;
  const begun = await beginAttempt(flow.server.url, { token });
  await flow.agent.confirm(begun.connectUrl);
  const again = await flow.agent.request(begun.connectUrl);
  assert.match(await again.text(), /invalid_state/);
});

test('F4: unknown, absent, repeated, huge or expired states are rejected', async (t) => {
  let clock = Date.now();
  const flow = await startFlow(t, { now: () => clock });
  const { callback, state } = await reachProvider(flow);
  const waiting = await beginAttempt(flow.server.url);
  const { token } = (await flow.server.nango.createConnectSession({ userId: '1' })).returnValue;
  const asking = await beginAttempt(flow.server.url, { token });
  const elsewhere = await startFlow(t);
  // Its cookie is sent too, because cookies ignore ports.
  const foreign = await reachProvider({ ...elsewhere, agent: flow.agent });
  const [cookie = ''] = (foreign.response.headers.get('set-cookie') ?? '').split(';', 1);
  const base = `${flow.server.url}/oauth/callback`;
  for (const query of [
    '',
    '?code=c',
    '?state=',
    '?state=unknown&code=c',
    `?state=${'x'.repeat(10_000)}&code=c`,
    `?state=${state}&state=${state}&code=c`,
    '?state[]=x&code=c',
    '?state=%00%ff&code=c',
  ]) {
    const response = await flow.agent.request(base + query);
    const html = await response.text();
    assert.equal(response.status, 400, query);
    assert.match(html, /invalid_state/);
    assert.ok(!html.includes('xxxxxxxx') && !html.includes('unknown') && !html.includes(state));
  }
  const other = await fetch(`${base}?state=${foreign.state}&code=c`, { headers: { cookie } });
  assert.match(await other.text(), /invalid_state/);
  clock += 600_001;
  assert.equal((await flow.agent.request(`${callback}&code=c`)).status, 400);
  for (const { connectUrl } of [waiting, asking]) {
    const expired = await flow.agent.request(connectUrl);
    assert.equal(expired.status, 400);
    assert.match(await expired.text(), /invalid_state/);
  }
  assert.equal(flow.provider.requests.length + elsewhere.provider.requests.length, 0);
});

test('F4: a state of 1 MB is rejected without an echo, in the query and in a form, and the server lives', async (t) => {
  const flow = await startFlow(t, { auth: '      authorization_params: { response_mode: form_post }' });
  const huge = 'x'.repeat(1_048_576);
  const base = `${flow.server.url}/oauth/callback`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const queried = await flow.agent.request(`${base}?code=c&state=${huge}`);
  const posted = await flow.agent.request(base, { method: 'POST', headers, body: `code=c&state=${huge}` });
  assert.deepEqual([queried.status, posted.status], [431, 413]);
  for (const response of [queried, posted]) assert.ok(!(await response.text()).includes('xxxx'));
  assert.equal((await fetch(`${flow.server.url}/health/live`)).status, 200);
});

for (const extra of [
  'error=',
  'iss=',
  'denied=',
  'code=',
  'state=',
  'scope=a&scope=b',
  '__proto__=1&__proto__=2',
  'error=&error=',
])
  test(`F13: "${extra}" in a callback has no effect`, async (t) => {
    const flow = await startFlow(t);
    const { callback, attempt } = await reachProvider(flow);
    assert.equal((await flow.agent.request(`${callback}&code=c1&${extra}`)).status, 200);
    assert.equal((await attemptResult(flow.server.url, attempt)).status, 'succeeded');
  });

test('F4: a repeated parameter that the server reads ends the attempt before a code is sent', async (t) => {
  for (const repeated of ['code=c1&code=c2', 'code=c1&error=a&error=b', 'code=c1&iss=a&iss=b']) {
    const flow = await startFlow(t);
    const { callback, attempt } = await reachProvider(flow);
    await flow.agent.request(`${callback}&${repeated}`);
    assert.equal((await attemptResult(flow.server.url, attempt)).error?.type, 'invalid_state', repeated);
    assert.equal(flow.provider.requests.length, 0);
  }
});

test('F6: a response of another issuer is rejected before the code is sent', async (t) => {
  const flow = await startFlow(t);
  const { callback, attempt } = await reachProvider(flow);
  await flow.agent.request(`${callback}&code=c1&iss=https%3A%2F%2Fevil.example`);
  assert.equal((await attemptResult(flow.server.url, attempt)).error?.type, 'provider_error');
  assert.equal(flow.provider.requests.length, 0);
});

test('F10, F11: the callback page has no redirect, loads nothing, and cannot be framed or stored', async (t) => {
  const flow = await startFlow(t);
  const { callback } = await reachProvider(flow);
  const response = await flow.agent.request(
    `${callback}&code=c1&redirect_uri=https://evil.example&return_to=//evil.example`,
  );
  const html = await response.text();
  assert.equal(response.headers.get('location'), null);
  const policy = response.headers.get('content-security-policy') ?? '';
  for (const directive of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"])
    assert.ok(policy.includes(directive), policy);
  assert.ok(!policy.includes('unsafe-inline'));
  assert.deepEqual(
    ['referrer-policy', 'cache-control', 'x-content-type-options', 'x-frame-options'].map((name) =>
      response.headers.get(name),
    ),
    ['no-referrer', 'no-store', 'nosniff', 'DENY'],
  );
  assert.ok(!/(src|href)=/.test(html) && !html.includes('evil.example'));
});

test('F10, F11: redirects lead only to configured addresses, are not stored, and send no referrer', async (t) => {
  const flow = await startFlow(t, { auth: '      authorization_params: { response_mode: form_post }' });
  const evil = 'next=https%3A%2F%2Fevil.example&redirect_uri=https%3A%2F%2Fevil.example&return_to=%2F%2Fevil.example';
  const { connectUrl } = await beginAttempt(flow.server.url);
  const begun = await flow.agent.request(`${connectUrl}&${evil}`);
  const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state');
  const { port } = new URL(flow.server.url);
  const posted = await new Promise<Headers>((resolve, reject) => {
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'content-type': 'application/x-www-form-urlencoded',
    };
    const options = { host: 'localhost', port, path: `/oauth/callback?${evil}`, method: 'POST', headers };
    httpRequest(options, (response) => resolve(new Headers(response.resume().headers as Record<string, string>)))
      .on('error', reject)
      .end(`state=${state}&code=c&${evil}`);
  });
  for (const [headers, target] of [
    [begun.headers, flow.provider.url],
    [posted, flow.server.url],
  ] as const) {
    assert.equal(new URL(headers.get('location') ?? '').origin, target);
    assert.deepEqual([headers.get('referrer-policy'), headers.get('cache-control')], ['no-referrer', 'no-store']);
  }
  for (const path of ['//evil.example', '/%2f%2fevil.example/..', '/oauth/connect/acme//evil.example', `/?${evil}`])
    assert.equal((await flow.agent.request(flow.server.url + path)).headers.get('location'), null, path);
});

test('F13: error has precedence over code, and a form is accepted only if response_mode requests it', async (t) => {
  const flow = await startFlow(t);
  const first = await reachProvider(flow);
  await flow.agent.request(`${first.callback}&code=c1&error=access_denied&error_description=No`);
  assert.deepEqual((await attemptResult(flow.server.url, first.attempt)).error, {
    type: 'access_denied',
    message: 'Access was denied (access_denied: No).',
  });
  const second = await reachProvider(flow);
  const post = {
    method: 'POST',
    body: `state=${second.state}&code=c1`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  };
  assert.equal((await flow.agent.request(`${flow.server.url}/oauth/callback`, post)).status, 400);

  const posting = await startFlow(t, { auth: '      authorization_params: { response_mode: form_post }' });
  const third = await reachProvider(posting);
  const { response } = await posting.agent.visit(`${posting.server.url}/oauth/callback`, { method: 'POST' });
  assert.equal(response.status, 400);
  const redirect = await posting.agent.request(`${posting.server.url}/oauth/callback`, {
    ...post,
    body: `state=${third.state}&code=c1`,
  });
  assert.equal(redirect.status, 303);
  assert.equal((await posting.agent.request(redirect.headers.get('location') ?? '')).status, 200);

  const fourth = await reachProvider(posting);
  const both = `state=${fourth.state}&code=c1&error=access_denied&error_description=No&session_state=x`;
  const denied = await posting.agent.request(`${posting.server.url}/oauth/callback`, { ...post, body: both });
  await posting.agent.request(denied.headers.get('location') ?? '');
  assert.equal((await attemptResult(posting.server.url, fourth.attempt)).error?.type, 'access_denied');
  assert.equal(posting.provider.requests.length, 1);
});

test('F14: a user id is an opaque string', async (t) => {
  const flow = await startFlow(t);
  const ids = ['../..', 'a/b?c=d#e', '🐘', '0001', '1', '1e3', '1000', ' x ', 'x', '"><script>', 'é', 'e\u0301'];
  for (const userId of [...ids, 'ä'.repeat(512)]) {
    const { callback } = await reachProvider(flow, { userId });
    assert.equal((await flow.agent.request(`${callback}&code=c1`)).status, 200, userId);
    assert.equal((await flow.server.nango.getConnection('acme', userId)).returnValue.userId, userId);
  }
  assert.equal((await beginAttempt(flow.server.url, { userId: 'x'.repeat(10_000) })).error?.type, 'invalid_request');
  assert.equal((await beginAttempt(flow.server.url, { userId: 'a\0b' })).error?.type, 'invalid_request');
  assert.equal((await beginAttempt(flow.server.url, { userId: 'a\ud800' })).error?.type, 'invalid_request');
  for (const userId of [1, true, null, ['1'], { id: '1' }]) {
    const { status, body } = await flow.server.api('POST', '/oauth/attempts', { integration: 'acme', userId });
    assert.deepEqual([status, (body as { error: { type: string } }).error.type], [400, 'invalid_request']);
  }
  assert.equal((await beginAttempt(flow.server.url, { userId: '' })).error?.type, 'missing_user_id');
  assert.equal(
    (await beginAttempt(flow.server.url, { integration: 'acm' })).error?.message,
    'integrations.yaml has no integration "acm". Did you mean "acme"?',
  );
});

describe('T: token endpoints', () => {
  async function exchange(t: TestContext, token: ScriptedResponse, auth = '') {
    const flow = await startFlow(t, { token, auth });
    const { callback, attempt } = await reachProvider(flow);
    const page = await (await flow.agent.request(`${callback}&code=the-code-CANARY`)).text();
    const { error } = await attemptResult(flow.server.url, attempt);
    assert.ok(!/CANARY/.test(page + JSON.stringify(error) + flow.server.log()), 'a secret was shown');
    return { ...flow, error };
  }

  test('T1: a form-encoded response with a wrong content type is accepted', async (t) => {
    const { server } = await exchange(t, {
      headers: { 'content-type': 'text/plain' },
      body: 'access_token=at&expires_in=60',
    });
    assert.equal((await server.nango.getConnection('acme', '1')).returnValue.credentials['access_token'], 'at');
  });

  test('T2: a response with status 200 and an error inside is an error', async (t) => {
    const { error } = await exchange(t, { body: { ok: false, error: 'invalid_code', access_token: 'at-CANARY' } });
    assert.deepEqual(error, {
      type: 'token_exchange_failed',
      message: 'The token endpoint responded with status 200: invalid_code',
    });
  });

  test('T4: a redirect from the token endpoint is not followed', async (t) => {
    const { error, provider } = await exchange(t, { status: 307, headers: { location: '/elsewhere' } });
    assert.equal(error?.type, 'token_exchange_failed');
    assert.deepEqual(
      provider.requests.map(({ path }) => path),
      ['/token'],
    );
  });

  test('T5: an HTML error page that echoes the request is an error without the echo', async (t) => {
    const { error } = await exchange(t, {
      status: 500,
      headers: { 'content-type': 'text/html' },
      body: '<h1>Oops</h1> client_secret=client-secret-CANARY-7f3a code=the-code-CANARY',
    });
    assert.equal(
      error?.message,
      'The token endpoint responded with status 500: Oops client_secret=[secret] code=[secret]',
    );
  });

  test('T5: a body of 10 MB is an error', async (t) => {
    const { error } = await exchange(t, { body: `{"access_token":"${'x'.repeat(10_000_000)}"}` });
    assert.match(error?.message ?? '', /larger than/);
    assert.equal(error?.type, 'token_exchange_failed');
  });

  test('T5: a connection that is cut is an error', async (t) => {
    assert.equal((await exchange(t, 'cut')).error?.type, 'token_exchange_failed');
  });

  test('T6: a response without access token, of another type, or with control characters is an error', async (t) => {
    assert.match((await exchange(t, { body: { token: 'at-CANARY' } })).error?.message ?? '', /access_token is missing/);
    assert.match(
      (await exchange(t, { body: { access_token: 'at-CANARY', token_type: 'mac' } })).error?.message ?? '',
      /token_type/,
    );
    assert.match(
      (await exchange(t, { body: { access_token: 'at-CANARY\r\nX: y' } })).error?.message ?? '',
      /characters/,
    );
  });

  test('T7: secrets with special characters arrive form-encoded', async (t) => {
    const { provider } = await exchange(t, { body: { access_token: 'at' } }, '      basic_encoding: form');
    assert.ok(provider.requests[0]?.headers.authorization?.startsWith('Basic '));
  });

  test('T3, T8: expiry counts from the time of receipt on our clock, and absent means unknown', async (t) => {
    let clock = 1_800_000_000_000;
    const flow = await startFlow(t, {
      now: () => clock,
      token: { headers: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' }, body: { access_token: 'at', expires_in: '120' } },
    });
    const { callback } = await reachProvider(flow);
    clock += 5_000;
    await flow.agent.request(`${callback}&code=c`);
    assert.equal(
      (await flow.server.nango.getConnection('acme', '1')).returnValue.credentials['expires_at'],
      new Date(clock + 120_000).toISOString(),
    );
    flow.provider.answer = () => ({ body: { access_token: 'at2' } });
    const { callback: second } = await reachProvider(flow, { userId: '2' });
    await flow.agent.request(`${second}&code=c`);
    assert.equal((await flow.server.nango.getConnection('acme', '2')).returnValue.credentials['expires_at'], undefined);
  });
});

test('client_credentials: connect() needs no browser, and refreshes with a new token request', async (t) => {
  let clock = Date.now();
  let issued = 0;
  const provider = await startScriptedProvider(t, () => ({
    body: { access_token: `at-${(issued += 1)}`, expires_in: 100 },
  }));
  const auth = '      token_params: { grant_type: client_credentials, audience: x }';
  const integrations = `integrations:${scriptedIntegration(provider.url, { auth })}`;
  const server = await startTestServer(t, { integrations, now: () => clock });
  assert.equal((await beginAttempt(server.url)).status, 'succeeded');
  assert.deepEqual(Object.fromEntries(provider.requests[0]?.form ?? []), {
    grant_type: 'client_credentials',
    audience: 'x',
    scope: 'read write',
  });
  clock += 90_000;
  assert.equal((await server.nango.getConnection('acme', '1')).returnValue.credentials['access_token'], 'at-2');
});

test('a per-connection host comes from additionalConfig and stays within its pattern', async (t) => {
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at' } }));
  const { port } = new URL(provider.url);
  const integrations = `integrations:${scriptedIntegration(`http://\${config.subdomain}.localhost:${port}`).replace(/token_url: .*/, `token_url: ${provider.url}/token`)}`;
  const server = await startTestServer(t, { integrations });
  const agent = new UserAgent();
  const flow = { server, provider, agent };
  const { url, callback } = await reachProvider(flow, { additionalConfig: { subdomain: 'shop-1' } });
  assert.equal(url.hostname, 'shop-1.localhost');
  await agent.request(`${callback}&code=c`);
  assert.deepEqual((await server.nango.getConnection('acme', '1')).returnValue.additionalConfig, {
    subdomain: 'shop-1',
  });
  // A reconnect without it uses the stored value.
  assert.equal((await reachProvider(flow)).url.hostname, 'shop-1.localhost');
  for (const subdomain of ['evil.com/', 'evil.com#', 'a@evil.com', '']) {
    const { response, attempt } = await reachProvider(flow, { userId: '2', additionalConfig: { subdomain } });
    assert.equal(response.status, 400);
    assert.equal((await attemptResult(server.url, attempt)).error?.type, 'invalid_value');
  }
  assert.equal((await reachProvider(flow, { userId: '3' })).response.status, 400);
});

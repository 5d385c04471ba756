import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { UserAgent } from '../support/user-agent.ts';

const DONE = 'https://app.example.com/done';
const WITH_QUERY = 'https://app.example.com/done?tab=1';

async function start(t: TestContext, now?: () => number) {
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at', token_type: 'bearer' } }));
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url)}`,
    config: `allowed_redirect_urls: ['${DONE}', '${WITH_QUERY}']\n`,
    ...(now ? { now } : {}),
  });
  const post = async (path: string, body: object) =>
    (await server.api('POST', path, body, { authorization: '' })) as {
      status: number;
      body: { attempt: string; connectUrl: string; status?: string; userId?: string; error?: { type: string } };
    };
  const begin = (body: object) => post('/oauth/attempts', { integration: 'acme', userId: '1', ...body });
  const redeem = (attempt: string, code: string) => post(`/oauth/attempts/${attempt}/result`, { code });

  /** Connects by redirect. Resolves to the attempt, and to where the browser goes at the end. */
  async function connect(redirectUrl: string, callback = 'code=c') {
    const agent = new UserAgent();
    const { attempt, connectUrl } = (await begin({ redirectUrl })).body;
    const location = (await agent.request(connectUrl)).headers.get('location') ?? '';
    const state = new URL(location).searchParams.get('state') ?? '';
    const { headers, status } = await agent.request(`${server.url}/oauth/callback?state=${state}&${callback}`);
    const end = headers.get('location') ?? '';
    return { attempt, state, status, headers, end, code: new URL(end).searchParams.get('nango_code') ?? '' };
  }
  return { server, begin, redeem, connect };
}

test('the browser goes to the exact URL with one parameter, after success and failure', async (t) => {
  const { redeem, connect } = await start(t);
  const succeeded = await connect(DONE);
  assert.match(succeeded.end, /^https:\/\/app\.example\.com\/done\?nango_code=[\w-]{43}$/);
  assert.deepEqual(
    [succeeded.status, succeeded.headers.get('cache-control'), succeeded.headers.get('referrer-policy')],
    [303, 'no-store', 'no-referrer'],
  );
  const { body } = await redeem(succeeded.attempt, succeeded.code);
  assert.deepEqual([body.status, body.userId], ['succeeded', '1']);
  const failed = await connect(WITH_QUERY, 'error=access_denied');
  assert.match(failed.end, /^https:\/\/app\.example\.com\/done\?tab=1&nango_code=[\w-]{43}$/);
  const refused = (await redeem(failed.attempt, failed.code)).body;
  assert.deepEqual([refused.status, refused.error?.type], ['failed', 'access_denied']);
});

test('a code is used once, for its own attempt, within ten minutes', async (t) => {
  let now = Date.now();
  const { redeem, connect } = await start(t, () => now);
  const one = await connect(DONE);
  const other = await connect(DONE);
  const late = await connect(DONE);
  for (const [attempt, code] of [
    [one.attempt, other.code],
    [one.attempt, ''],
    [one.code, one.code],
    [one.attempt, one.state],
    [one.attempt, '__proto__'],
  ] as const)
    assert.equal((await redeem(attempt, code)).body.error?.type, 'invalid_code', `${attempt} ${code}`);
  assert.equal((await redeem(one.attempt, one.code)).status, 200);
  assert.equal((await redeem(one.attempt, one.code)).body.error?.type, 'invalid_code');
  const both = await Promise.all([redeem(other.attempt, other.code), redeem(other.attempt, other.code)]);
  assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 400]);
  now += 600_001;
  assert.equal((await redeem(late.attempt, late.code)).body.error?.type, 'invalid_code');
});

test('F10: a redirectUrl that is not exactly listed is refused, from pages and from back ends', async (t) => {
  const { server, begin } = await start(t);
  for (const redirectUrl of [
    `${DONE}/`,
    `${DONE}?`,
    `${DONE}#f`,
    `${DONE}?x=1`,
    'https://app.example.com/DONE',
    'https://APP.example.com/done',
    'HTTPS://app.example.com/done',
    'http://app.example.com/done',
    'https://app.example.com:443/done',
    'https://app.example.com@evil.example/done',
    'https://user@app.example.com/done',
    'https://app.example.com/x/../done',
    'https://app.example.com/%64one',
    ' https://app.example.com/done',
    'https://app.example.com/done\0',
    '//app.example.com/done',
    'javascript:alert(1)',
    '__proto__',
    '/',
    '',
    `${DONE}${'x'.repeat(100_000)}`,
  ]) {
    assert.equal((await begin({ redirectUrl })).body.error?.type, 'invalid_request', redirectUrl.slice(0, 60));
    const session = await server.api('POST', '/api/connect-sessions', { userId: '1', redirectUrl });
    assert.equal(session.status, 400, redirectUrl.slice(0, 60));
  }
});

test('a callback in another browser stays on our page and gets no code', async (t) => {
  const { server, begin } = await start(t);
  const { connectUrl } = (await begin({ redirectUrl: DONE })).body;
  const location = (await new UserAgent().request(connectUrl)).headers.get('location') ?? '';
  const state = new URL(location).searchParams.get('state') ?? '';
  const foreign = await new UserAgent().request(`${server.url}/oauth/callback?state=${state}&code=c`);
  assert.deepEqual([foreign.status, foreign.headers.get('location')], [400, null]);
});

test('with a redirectUrl in the session, a popup stays on our page, and a link returns after success', async (t) => {
  const { server } = await start(t);
  const session = { userId: '1', integrations: ['acme'], redirectUrl: DONE };
  const { token, connectUrl: link } = (await server.nango.createConnectSession(session)).returnValue;
  const popup = new UserAgent();
  const { body } = await server.api(
    'POST',
    '/oauth/attempts',
    { integration: 'acme', userId: '1' },
    { authorization: `Bearer ${token}` },
  );
  const provider = await popup.confirm((body as { connectUrl: string }).connectUrl);
  const end = async (agent: UserAgent, url: string, code: string) => {
    const state = new URL(url).searchParams.get('state') ?? '';
    return (await agent.request(`${server.url}/oauth/callback?state=${state}&${code}`)).headers.get('location');
  };
  assert.equal(await end(popup, provider, 'code=c'), null);
  const click = async (agent: UserAgent) => {
    const response = await agent.request(link ?? '', {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: server.url },
      body: '{"integration":"acme"}',
    });
    return ((await response.json()) as { authorizationUrl: string }).authorizationUrl;
  };
  const agent = new UserAgent();
  // A link that failed can be opened again, so the page says what happened.
  assert.equal(await end(agent, await click(agent), 'error=access_denied'), null);
  assert.match((await end(agent, await click(agent), 'code=c')) ?? '', /\/done\?nango_code=/);
});

test('a page of any origin may ask for its result, with the code', async (t) => {
  const { server } = await start(t);
  const preflight = await fetch(`${server.url}/oauth/attempts/x/result`, {
    method: 'OPTIONS',
    headers: { origin: 'https://app.example.com', 'access-control-request-method': 'POST' },
  });
  assert.deepEqual(
    [preflight.status, preflight.headers.get('access-control-allow-origin')],
    [204, 'https://app.example.com'],
  );
});

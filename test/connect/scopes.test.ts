import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { beginAttempt, connectBrowser, UserAgent } from '../support/user-agent.ts';

/** A server and a provider that sends one scope after another, for read and write that the Integration asks for. */
async function start(t: TestContext, scopes: readonly unknown[], auth = '') {
  const left = [...scopes];
  const provider = await startScriptedProvider(t, ({ path }) => {
    if (path.startsWith('/api/')) {
      const challenge = path.endsWith('/scope') ? 'Bearer realm="x", error="insufficient_scope"' : 'Bearer';
      return { status: 403, headers: { 'www-authenticate': challenge }, body: {} };
    }
    const [scope] = left.splice(0, left.length > 1 ? 1 : 0);
    const sent = scope ?? left[0];
    return {
      body: {
        access_token: `at-${left.length}`,
        refresh_token: 'rt',
        token_type: 'bearer',
        expires_in: 3600,
        ...(sent === 'absent' ? {} : { scope: sent }),
      },
    };
  });
  const clock = { now: Date.now() };
  const server = await startTestServer(t, {
    now: () => clock.now,
    integrations: `integrations:${scriptedIntegration(provider.url, { auth })}`,
  });
  const read = async () => {
    const { requestedScopes, grantedScopes, missingScopes } = (await server.nango.getConnection('acme', '1'))
      .returnValue;
    return { requestedScopes, grantedScopes, missingScopes };
  };
  return { ...server, clock, read };
}

for (const [shape, scope, granted, missing] of [
  ['with spaces', 'read write', ['read', 'write'], []],
  ['with commas', 'read,write', ['read', 'write'], []],
  ['as a list', ['read', 'write'], ['read', 'write'], []],
  ['absent', 'absent', null, null],
  ['empty', '', null, null],
  ['repeated', 'read read', ['read'], ['write']],
  ['in another order', 'write read', ['write', 'read'], []],
  ['partly', 'write', ['write'], ['read']],
  ['with more', 'admin read write', ['admin', 'read', 'write'], []],
] as const)
  test(`granted scopes ${shape}`, async (t) => {
    const { url, read } = await start(t, [scope]);
    await connectBrowser(url);
    assert.deepEqual(await read(), {
      requestedScopes: ['read', 'write'],
      grantedScopes: granted,
      missingScopes: missing,
    });
  });

test('scopes that the provider folds into one are not missing', async (t) => {
  const { url, read } = await start(t, ['all'], '      scope_implies: { all: [write], write: [read] }');
  await connectBrowser(url);
  assert.deepEqual((await read()).missingScopes, []);
});

test('granted scopes elsewhere in the response', async (t) => {
  const { url, read } = await start(t, [{ of: 'read' }], '      token_response_paths: { scope: scope.of }');
  await connectBrowser(url);
  assert.deepEqual((await read()).grantedScopes, ['read']);
});

test('a refresh that grants less is seen, and one that does not say changes nothing', async (t) => {
  const { url, read, clock } = await start(t, ['read write', 'read', 'absent']);
  await connectBrowser(url);
  assert.deepEqual((await read()).missingScopes, []);
  for (let refreshes = 0; refreshes < 2; refreshes += 1) {
    clock.now += 7_200_000;
    assert.deepEqual(await read(), {
      requestedScopes: ['read', 'write'],
      grantedScopes: ['read'],
      missingScopes: ['write'],
    });
  }
});

test('the response to a request that the API refused for its scope names those that are missing', async (t) => {
  const { url, nango } = await start(t, ['read']);
  await connectBrowser(url);
  const headers = { authorization: `Bearer ${SECRET_KEY}`, 'nango-integration': 'acme', 'nango-user-id': '1' };
  const refused = await fetch(`${url}/proxy/scope`, { headers });
  assert.deepEqual([refused.status, refused.headers.get('nango-missing-scopes')], [403, 'write']);
  assert.equal((await fetch(`${url}/proxy/other`, { headers })).headers.get('nango-missing-scopes'), null);
  const request = (endpoint: string) => nango.request('acme', '1', { endpoint });
  assert.deepEqual((await request('scope')).returnValue.missingScopes, ['write']);
  assert.equal((await request('other')).returnValue.missingScopes, undefined);
});

/** A server whose Integration allows the scope admin to sessions. */
async function startChoosing(t: TestContext, auth = '') {
  const asked: string[] = [];
  const provider = await startScriptedProvider(t, () => ({
    body: { access_token: 'at', token_type: 'bearer', scope: asked.at(-1) ?? '' },
  }));
  const settings = '    allowed_scopes: [admin, "*", x y]';
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url, { auth, settings })}`,
  });
  const connect = async (request: object) => {
    const { token } = (await server.nango.createConnectSession({ userId: '1', ...request })).returnValue;
    const { connectUrl } = await beginAttempt(server.url, { token });
    const agent = new UserAgent();
    const location = new URL(await agent.confirm(connectUrl));
    asked.push(location.searchParams.get('scope') ?? '');
    await agent.request(`${server.url}/oauth/callback?state=${location.searchParams.get('state')}&code=c`);
    return asked.at(-1);
  };
  const read = async () => (await server.nango.getConnection('acme', '1')).returnValue;
  return { ...server, connect, read };
}

test('a session chooses scopes that the Integration allows, and a connection keeps its scopes', async (t) => {
  const { connect, read } = await startChoosing(t);
  assert.equal(await connect({ scopes: { acme: ['read'] } }), 'read');
  const { id } = await read();
  assert.equal(await connect({ scopes: { acme: ['admin'] } }), 'read admin');
  assert.equal(await connect({}), 'read admin write');
  const { requestedScopes, missingScopes, ...connection } = await read();
  assert.deepEqual([requestedScopes, missingScopes, connection.id], [['read', 'admin', 'write'], [], id]);
});

test('where the provider keeps earlier scopes, only new ones are asked for', async (t) => {
  const { connect, read } = await startChoosing(t, '      incremental_scopes: true');
  await connect({ scopes: { acme: ['read'] } });
  assert.equal(await connect({ scopes: { acme: ['admin'] } }), 'admin');
  assert.deepEqual((await read()).requestedScopes, ['read', 'admin']);
});

test('a session cannot choose scopes that the Integration does not allow, and a page none at all', async (t) => {
  const { nango, connect, ...server } = await startChoosing(t);
  for (const scopes of [{ acme: ['other'] }, { acme: ['read', 'ADMIN'] }, { acme: [] }, { acme: ['x'.repeat(400)] }])
    await assert.rejects(nango.createConnectSession({ userId: '1', scopes }), { type: 'invalid_request' });
  await assert.rejects(nango.createConnectSession({ userId: '1', scopes: { none: ['read'] } }), {
    type: 'unknown_integration',
  });
  const elsewhere = { userId: '1', integrations: ['acme'], scopes: JSON.parse('{"__proto__":["read"]}') as object };
  await assert.rejects(nango.createConnectSession(elsewhere as { userId: string }));
  const { token } = (await nango.createConnectSession({ userId: '1' })).returnValue;
  const body = { integration: 'acme', userId: '1', scopes: ['admin'], allowAccountChange: true };
  const { body: begun } = await server.api('POST', '/oauth/attempts', body, { authorization: `Bearer ${token}` });
  const location = new URL(await new UserAgent().confirm((begun as { connectUrl: string }).connectUrl));
  assert.equal(location.searchParams.get('scope'), 'read write');
  assert.equal(await connect({}), 'read write');
});

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider, type ScriptedResponse } from '../support/scripted-provider.ts';

const START = 1_800_000_000_000;
const LIFE_SECONDS = 1000;

/** A connection whose token lives 1000 s, a clock, and a provider whose refresh responses the test chooses. */
async function startRefresh(
  t: TestContext,
  {
    answer,
    auth = '',
    settings = '',
    credentials = {},
  }: {
    answer?: () => ScriptedResponse | Promise<ScriptedResponse>;
    auth?: string;
    settings?: string;
    credentials?: object;
  } = {},
) {
  const clock = { now: START };
  let issued = 1;
  const provider = await startScriptedProvider(
    t,
    answer ??
      (() => ({
        body: {
          access_token: `at-${(issued += 1)}`,
          refresh_token: `rt-${issued}`,
          expires_in: LIFE_SECONDS,
          extra: issued,
        },
      })),
  );
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url, { auth, settings })}`,
    now: () => clock.now,
  });
  await server.nango.registerConnection('acme', '1', {
    access_token: 'at-1',
    refresh_token: 'rt-1',
    expires_at: START / 1000 + LIFE_SECONDS,
    ...credentials,
  });
  const read = async () => (await server.nango.getConnection('acme', '1')).returnValue;
  return { clock, provider, server, read, credentials: async () => (await read()).credentials };
}

test('a token is refreshed 60 s before it expires and not earlier', async (t) => {
  const { clock, provider, credentials } = await startRefresh(t);
  clock.now = START + (LIFE_SECONDS - 61) * 1000;
  assert.equal((await credentials())['access_token'], 'at-1');
  clock.now += 1000;
  assert.equal((await credentials())['access_token'], 'at-2');
  assert.deepEqual(Object.fromEntries(provider.requests[0]?.form ?? []), {
    grant_type: 'refresh_token',
    refresh_token: 'rt-1',
  });
});

test('the margin is a field, and at most half of a token’s life', async (t) => {
  const { clock, credentials } = await startRefresh(t, { auth: '      refresh_margin_seconds: 900' });
  clock.now = START + 100_000;
  assert.equal((await credentials())['access_token'], 'at-2');
  clock.now += (LIFE_SECONDS / 2) * 1000 - 1;
  assert.equal((await credentials())['access_token'], 'at-2');
  clock.now += 1;
  assert.equal((await credentials())['access_token'], 'at-3');
});

test('R1: many waiting callers cause one token request', async (t) => {
  const { clock, provider, server } = await startRefresh(t);
  clock.now = START + LIFE_SECONDS * 1000;
  const answers = await Promise.all(Array.from({ length: 100 }, () => server.nango.getConnection('acme', '1')));
  assert.deepEqual([...new Set(answers.map(({ returnValue }) => returnValue.credentials['access_token']))], ['at-2']);
  assert.equal(provider.requests.length, 1);
});

test('R3: a response without refresh token keeps the old one, and is merged over the previous raw', async (t) => {
  const { clock, provider, credentials } = await startRefresh(t, {
    answer: () => ({ body: { access_token: 'at-2', expires_in: 100, scope: 'read' } }),
  });
  clock.now = START + LIFE_SECONDS * 1000;
  const { access_token, refresh_token, raw } = await credentials();
  assert.deepEqual(
    [access_token, refresh_token, raw],
    [
      'at-2',
      'rt-1',
      {
        access_token: 'at-2',
        expires_in: 100,
        scope: 'read',
        refresh_token: 'rt-1',
      },
    ],
  );
  clock.now += 99_000;
  await credentials();
  assert.equal(provider.requests[1]?.form.get('refresh_token'), 'rt-1');
});

test('refresh_url and refresh_params are used', async (t) => {
  const { clock, provider, credentials } = await startRefresh(t, {
    auth: '      refresh_url: http://localhost/x\n      refresh_params: { audience: y }',
  });
  clock.now = START + LIFE_SECONDS * 1000;
  provider.answer = () => ({ status: 500 });
  await assert.rejects(credentials(), { type: 'refresh_failed' });
  assert.equal(provider.requests.length, 0);
});

for (const [name, answer] of [
  ['500', { status: 500, body: 'down' }],
  ['429 with Retry-After', { status: 429, headers: { 'retry-after': '60' }, body: { error: 'slow_down' } }],
  ['a cut connection', 'cut'],
  ['a 400 that is no invalid_grant', { status: 400, body: { error: 'temporarily_unavailable' } }],
] as const) {
  test(`R4: ${name}: a valid token is served, an expired token is 503, and the connection stays active`, async (t) => {
    const { clock, provider, server, credentials } = await startRefresh(t, { answer: () => answer });
    clock.now = START + (LIFE_SECONDS - 30) * 1000;
    assert.equal((await credentials())['access_token'], 'at-1');
    clock.now = START + LIFE_SECONDS * 1000;
    await assert.rejects(credentials(), { type: 'refresh_failed', status: 503 });
    assert.equal((await server.nango.getConnectionsForUserId('1')).returnValue[0]?.status, 'active');
    provider.answer = () => ({ body: { access_token: 'at-9', expires_in: 100 } });
    clock.now += 61_000;
    assert.equal((await credentials())['access_token'], 'at-9');
  });
}

test('R5: invalid_grant marks the connection, stops refreshes, and a reconnect ends that', async (t) => {
  const { clock, provider, server, read, credentials } = await startRefresh(t, {
    answer: () => ({ status: 400, body: { error: 'invalid_grant', error_description: 'Revoked' } }),
  });
  clock.now = START + (LIFE_SECONDS - 30) * 1000;
  const marked = await read();
  assert.deepEqual([marked.status, marked.credentials['access_token']], ['needs_reconnect', 'at-1']);
  assert.match(marked.statusReason ?? '', /invalid_grant: Revoked/);
  clock.now = START + LIFE_SECONDS * 1000;
  await assert.rejects(credentials(), { type: 'needs_reconnect', status: 409 });
  await assert.rejects(credentials(), { type: 'needs_reconnect' });
  assert.equal(provider.requests.length, 1);
  await server.nango.updateConnectionCredentials('acme', '1', { access_token: 'at-7' });
  assert.equal((await read()).status, 'active');
});

/** Simulates days in which an application uses an expired connection every twelve hours. Returns all results. */
async function useForDays(
  { clock, credentials }: Pick<Awaited<ReturnType<typeof startRefresh>>, 'clock' | 'credentials'>,
  days: number,
): Promise<Set<unknown>> {
  const told = new Set<unknown>();
  for (let half = 0; half < days * 2; half += 1) {
    clock.now += 43_200_000;
    told.add(
      await credentials().then(
        () => 'served',
        (error: unknown) => (error instanceof Error ? Reflect.get(error, 'type') : error),
      ),
    );
  }
  return told;
}

test('R5: a provider that rejects for days without a reason requires a reconnect', async (t) => {
  const refresh = await startRefresh(t, { answer: () => ({ status: 400, body: '' }) });
  const { provider, server, clock } = refresh;
  const connection = async () => (await server.nango.getConnectionsForUserId('1')).returnValue[0];
  clock.now = START + LIFE_SECONDS * 1000;
  for (let refusals = 0; refusals < 20; refusals += 1) {
    await assert.rejects(refresh.credentials(), { type: 'refresh_failed' });
    clock.now += 3_600_000;
  }
  assert.deepEqual(await useForDays(refresh, 2), new Set(['refresh_failed']));
  assert.equal((await connection())?.status, 'active');
  assert.deepEqual(await useForDays(refresh, 0.5), new Set(['needs_reconnect']));
  assert.equal((await connection())?.status, 'needs_reconnect');
  assert.match((await connection())?.statusReason ?? '', /status 400: .* rejected every refresh for 3 days/);
  const { events } = (await server.nango.getEvents()).returnValue;
  assert.equal(events.filter(({ type }) => type === 'connection.needs_reconnect').length, 1);
  const asked = provider.requests.length;
  await assert.rejects(refresh.credentials(), { type: 'needs_reconnect' });
  assert.equal(provider.requests.length, asked);
});

test('R5: a few rejections, or those of other credentials, require no reconnect', async (t) => {
  const refresh = await startRefresh(t, { answer: () => ({ status: 401, body: '' }) });
  assert.deepEqual(await useForDays(refresh, 4.5), new Set(['refresh_failed']));
  await refresh.server.nango.updateConnectionCredentials('acme', '1', {
    access_token: 'at-2',
    refresh_token: 'rt-2',
    expires_at: START / 1000,
  });
  assert.deepEqual(await useForDays(refresh, 4.5), new Set(['refresh_failed']));
  assert.deepEqual(await useForDays(refresh, 0.5), new Set(['needs_reconnect']));
});

for (const [name, answer, settings] of [
  ['a failing server', { status: 500, body: '' }],
  ['a limit', { status: 429, body: '' }],
  ['a refresh address that is gone', { status: 404, body: '' }],
  ['a cut connection', 'cut'],
  ['a word that blames something else', { status: 401, body: { error: 'invalid_client' } }],
  [
    'a refusal without a reason, where that is turned off',
    { status: 400, body: '' },
    'reconnect_after_refused_days: 0',
  ],
] satisfies [string, ScriptedResponse, string?][]) {
  test(`R4, D10: ${name} ends no grant, however many days it lasts`, async (t) => {
    const refresh = await startRefresh(t, { answer: () => answer, settings: settings ? `    ${settings}` : '' });
    assert.deepEqual(await useForDays(refresh, 20), new Set(['refresh_failed']));
    refresh.provider.answer = () => ({ body: { access_token: 'at-9', expires_in: 100 } });
    refresh.clock.now += 3_600_000;
    assert.equal((await refresh.credentials())['access_token'], 'at-9');
  });
}

test('a token without refresh token is refreshed as its Blueprint says, until an error ends it', async (t) => {
  const auth = `      refresh_request:
        method: GET
        url: http://localhost/refresh
        params: { grant_type: acme_renew, token: '\${access_token}' }
      token_response_paths: { error: error.code }
      invalid_grant_errors: ['190']`;
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at-2', expires_in: 1000 } }));
  const clock = { now: START };
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url, { auth: auth.replace('http://localhost', provider.url) })}`,
    now: () => clock.now,
  });
  const given = { access_token: 'at-1', expires_at: START / 1000 + LIFE_SECONDS };
  await server.nango.registerConnection('acme', '1', given);
  const read = async () => (await server.nango.getConnection('acme', '1')).returnValue;
  clock.now += (LIFE_SECONDS - 30) * 1000;
  assert.equal((await read()).credentials['access_token'], 'at-2');
  const [asked] = provider.requests;
  assert.equal(
    `${asked?.method} ${asked?.path} ${asked?.query.toString()}`,
    'GET /refresh grant_type=acme_renew&token=at-1',
  );
  provider.answer = () => ({ status: 400, body: { error: { code: 190, message: 'Session of at-2 has expired' } } });
  clock.now += (LIFE_SECONDS - 30) * 1000;
  const { status, statusReason } = await read();
  assert.equal(status, 'needs_reconnect');
  assert.match(statusReason ?? '', /190|Session of \[secret\] has expired/);
  assert.doesNotMatch(statusReason ?? '', /at-2/);
});

test('an expired token without refresh token needs a reconnect', async (t) => {
  const { clock, provider, credentials, server } = await startRefresh(t, { credentials: { refresh_token: undefined } });
  assert.equal((await credentials())['access_token'], 'at-1');
  clock.now = START + LIFE_SECONDS * 1000;
  await assert.rejects(credentials(), { type: 'needs_reconnect' });
  assert.equal((await server.nango.getConnectionsForUserId('1')).returnValue[0]?.status, 'needs_reconnect');
  assert.equal(provider.requests.length, 0);
});

test('R7: a reconnect or a delete during a refresh has precedence', async (t) => {
  let respondNow = (_answer: ScriptedResponse) => {};
  let asked = () => {};
  const { clock, server, credentials } = await startRefresh(t, {
    answer: () => {
      asked();
      return new Promise((resolve) => (respondNow = resolve));
    },
  });
  clock.now = START + LIFE_SECONDS * 1000;
  const refresh = async (meanwhile: () => Promise<unknown>) => {
    const arrived = new Promise<void>((resolve) => (asked = resolve));
    const pending = credentials();
    pending.catch(() => undefined);
    await arrived;
    await meanwhile();
    respondNow({ body: { access_token: 'late', refresh_token: 'late', expires_in: 100 } });
    return pending;
  };
  const reconnect = { access_token: 'new', refresh_token: 'new', expires_at: clock.now / 1000 + 10 };
  assert.equal(
    (await refresh(() => server.nango.updateConnectionCredentials('acme', '1', reconnect)))['access_token'],
    'new',
  );
  clock.now += 10_000;
  await assert.rejects(
    refresh(() => server.nango.deleteConnection('acme', '1')),
    { type: 'connection_not_found' },
  );
  assert.deepEqual((await server.nango.getConnectionsForUserId('1')).returnValue, []);
});

test('R8: a refresh that lengthens, shortens or drops expires_in is stored as given', async (t) => {
  const lives: (number | undefined)[] = [9000, 10, undefined];
  const { clock, credentials } = await startRefresh(t, {
    answer: () => ({ body: { access_token: 'x', expires_in: lives.shift() } }),
  });
  clock.now = START + LIFE_SECONDS * 1000;
  assert.equal((await credentials())['expires_at'], new Date(clock.now + 9_000_000).toISOString());
  clock.now += 9_000_000;
  assert.equal((await credentials())['expires_at'], new Date(clock.now + 10_000).toISOString());
  clock.now += 10_000;
  assert.equal((await credentials())['expires_at'], undefined);
});

test('R8: an early refresh stores new scopes and a new life as given', async (t) => {
  const answers = [
    { access_token: 'at-2', expires_in: 5_000, scope: 'read write' },
    { access_token: 'at-3', expires_in: 200, scope: 'read' },
  ];
  const { clock, provider, credentials } = await startRefresh(t, { answer: () => ({ body: answers.shift() ?? {} }) });
  clock.now = START + (LIFE_SECONDS - 50) * 1000;
  const longer = await credentials();
  assert.deepEqual(
    [longer['access_token'], longer.expires_at, longer.raw['scope']],
    ['at-2', new Date(clock.now + 5_000_000).toISOString(), 'read write'],
  );
  clock.now += (5_000 - 61) * 1000;
  assert.equal((await credentials())['access_token'], 'at-2');
  clock.now += 2_000;
  const shorter = await credentials();
  assert.deepEqual(
    [shorter['access_token'], shorter.expires_at, shorter.raw['scope']],
    ['at-3', new Date(clock.now + 200_000).toISOString(), 'read'],
  );
  assert.equal(provider.requests.length, 2);
});

/** A provider that lets some users’ refreshes hang until the test releases them. */
async function startHanging(t: TestContext) {
  const hanging = Promise.withResolvers<ScriptedResponse>();
  const asked = Promise.withResolvers<void>();
  const provider = await startScriptedProvider(t, ({ form }) => {
    const refreshToken = form.get('refresh_token') ?? '';
    if (!refreshToken.startsWith('rt-slow'))
      return { body: { access_token: `at-of-${refreshToken}`, expires_in: LIFE_SECONDS } };
    asked.resolve();
    return hanging.promise;
  });
  const settings = '    refresh_concurrency: 10';
  const integrations = ['acme', 'other'].map((name) => scriptedIntegration(provider.url, { name, settings }));
  const { nango } = await startTestServer(t, {
    integrations: `integrations:${integrations.join('')}`,
    now: () => START,
  });
  const read = async (userId: string, integration = 'acme') =>
    (await nango.getConnection(integration, userId)).returnValue.credentials['access_token'];
  return {
    read,
    register: async (userIds: string[], integration = 'acme') => {
      for (const userId of userIds)
        await nango.registerConnection(integration, userId, {
          access_token: 'old',
          refresh_token: `rt-${userId}`,
          expires_at: START / 1000 - 1,
        });
    },
    /** Resolves when the first of these users’ refreshes hangs. */
    hang: async (userIds: string[]) => {
      let ended = 0;
      const tokens = userIds.map((userId) => read(userId).finally(() => (ended += 1)));
      await asked.promise;
      return {
        ended: () => ended,
        release: async () => {
          hanging.resolve({ body: { access_token: 'at-slow', expires_in: LIFE_SECONDS } });
          return new Set(await Promise.all(tokens));
        },
      };
    },
  };
}

const named = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}-${index}`);

test('R10, D5: while a hundred users’ refreshes hang, other users’ refreshes continue', async (t) => {
  const { register, hang, read } = await startHanging(t);
  const [slow, quick] = [named('slow', 100), named('quick', 40)];
  await register([...slow, ...quick]);
  await register(['1'], 'other');
  const hanging = await hang(slow);
  assert.equal(await read('1', 'other'), 'at-of-rt-1');
  const tokens = await Promise.all(quick.map((userId) => read(userId)));
  assert.equal(hanging.ended(), 0);
  assert.deepEqual(
    tokens,
    quick.map((userId) => `at-of-rt-${userId}`),
  );
  assert.deepEqual(await hanging.release(), new Set(['at-slow']));
});

test('D10: an expired token with a refresh token is refreshed, whatever the margin and the clock', async (t) => {
  const { clock, provider, server, credentials } = await startRefresh(t, { auth: '      refresh_margin_seconds: 0' });
  // In this half second the token is no longer served, and its margin does not make it due yet.
  clock.now = START + LIFE_SECONDS * 1000 - 400;
  assert.equal((await credentials())['access_token'], 'at-2');
  clock.now += 10 * LIFE_SECONDS * 1000;
  provider.answer = () => ({ status: 503 });
  await assert.rejects(credentials(), { type: 'refresh_failed' });
  assert.equal((await server.nango.getConnectionsForUserId('1')).returnValue[0]?.status, 'active');
});

test('a refresh keeps members of raw that only the first response had, and a reconnect drops them', async (t) => {
  const { clock, server, credentials } = await startRefresh(t, {
    answer: () => ({ body: { access_token: 'at-2', expires_in: 100 } }),
    credentials: { instance_url: 'https://eu.example' },
  });
  clock.now = START + LIFE_SECONDS * 1000;
  assert.equal((await credentials()).raw['instance_url'], 'https://eu.example');
  await server.nango.updateConnectionCredentials('acme', '1', { access_token: 'at-9' });
  assert.equal((await credentials()).raw['instance_url'], undefined);
});

test('R8: a response that no longer names a life is stored as given, and early refreshes continue', async (t) => {
  const { clock, provider, credentials } = await startRefresh(t);
  clock.now = START + LIFE_SECONDS * 1000;
  await credentials();
  provider.answer = () => ({ body: { access_token: `at-${provider.requests.length + 1}` } });
  clock.now += LIFE_SECONDS * 1000;
  assert.deepEqual([(await credentials())['access_token'], (await credentials()).expires_at], ['at-3', undefined]);
  clock.now += (LIFE_SECONDS - 61) * 1000;
  assert.equal((await credentials())['access_token'], 'at-3');
  clock.now += 1_000;
  assert.equal((await credentials())['access_token'], 'at-4');
  clock.now += (LIFE_SECONDS - 60) * 1000;
  assert.equal((await credentials())['access_token'], 'at-5');
});

test('D4: a provider that asks for a wait of years gets the next request within the hour', async (t) => {
  const { clock, server } = await startRefresh(t, {
    answer: () => ({ status: 429, headers: { 'retry-after': String(START / 1000) } }),
  });
  clock.now = START + LIFE_SECONDS * 1000;
  const { status, headers } = await server.api('GET', '/api/connection?integration=acme&userId=1');
  assert.deepEqual([status, headers.get('retry-after')], [503, '3600']);
});

test('T3: times beyond any date are clamped when they are read, and never end the server', async (t) => {
  const { server } = await startRefresh(t, { auth: '      token_response_paths: { expires_at: expires_at }' });
  for (const [userId, expires_at] of Object.entries({ a: 9e15, b: 1e16, c: '9000000000000000', d: 8.64e15 + 1 })) {
    await server.nango.registerConnection('acme', userId, { access_token: 'at', expires_at });
    const { credentials } = (await server.nango.getConnection('acme', userId)).returnValue;
    assert.equal(credentials.expires_at, '9999-12-31T23:59:59.000Z');
  }
});

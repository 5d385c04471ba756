import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { SecretKeys } from '../../packages/server/src/http/secret-keys.ts';
import { Secret } from '../../packages/server/src/vault/secret.ts';
import { OPERATIONS, type Operation } from '../support/api-operations.ts';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';

const KEY = (name: string) => `${name}-key-0123456789abcdef`;

async function startKeyed(t: Parameters<typeof startTestServer>[0], more = '') {
  const provider = await startScriptedProvider(t, () => ({ body: { ok: true } }));
  const config = `secret_keys:
  reader: { key: '${KEY('reader')}', scopes: [connections:read] }
  caller: { key: ['${KEY('caller')}', '${KEY('caller-old')}'], scopes: [proxy] }
  connector: { key: '${KEY('connector')}', scopes: [connect] }
  watcher: { key: '${KEY('watcher')}', scopes: [metrics] }
  operator: { key: '${KEY('operator')}', scopes: [admin] }
${more}`;
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${provider.url}/', headers: { X-Key: '\${api_key}' } }
`,
    config,
  });
  await server.nango.registerConnection('acme', '1', { api_key: 'k' });
  const as = (name: string) => ({ authorization: `Bearer ${KEY(name)}` });
  return { server, config, as };
}

const clientAddress = ({ socket }: { socket: Socket }) => socket.remoteAddress ?? '';

test('A1: each key permits only what its scopes say', async (t) => {
  const { server, as } = await startKeyed(t);
  const calls: Record<string, () => Promise<{ status: number }>> = Object.fromEntries(
    ['reader', 'caller', 'connector', 'watcher', 'operator'].flatMap((name) => [
      [`${name} list`, () => server.api('GET', '/api/connections', undefined, as(name))],
      [`${name} read`, () => server.api('GET', '/api/connection?integration=acme&userId=1', undefined, as(name))],
      [
        `${name} request`,
        () => server.api('POST', '/api/request', { integration: 'acme', userId: '1', endpoint: 'x' }, as(name)),
      ],
      [
        `${name} proxy`,
        () =>
          fetch(`${server.url}/proxy/x`, {
            headers: { ...as(name), 'nango-integration': 'acme', 'nango-user-id': '1' },
          }),
      ],
      [`${name} session`, () => server.api('POST', '/api/connect-sessions', { userId: '1' }, as(name))],
      [`${name} metrics`, () => server.api('GET', '/metrics', undefined, as(name))],
      [`${name} info`, () => server.api('GET', '/api/server', undefined, as(name))],
      [
        `${name} config`,
        () => server.api('PUT', '/api/connection/config?integration=acme&userId=1', { additionalConfig: {} }, as(name)),
      ],
    ]),
  );
  const statuses: Record<string, number> = {};
  for (const [name, call] of Object.entries(calls)) statuses[name] = (await call()).status;
  const permitted = Object.entries(statuses).flatMap(([name, status]) => (status < 300 ? [name] : []));
  assert.deepEqual(permitted, [
    'reader list',
    'reader read',
    'reader info',
    'caller request',
    'caller proxy',
    'caller info',
    'connector session',
    'connector info',
    'watcher metrics',
    'watcher info',
    ...['list', 'read', 'request', 'proxy', 'session', 'metrics', 'info', 'config'].map((what) => `operator ${what}`),
  ]);
  assert.ok(Object.values(statuses).every((status) => status < 300 || status === 403));
  const { body } = await server.api('GET', '/api/connections', undefined, as('caller'));
  assert.match(JSON.stringify(body), /insufficient_scope.*"caller\\" lacks the scope connections:read/);
});

// The scope that each route requires. A route that is missing here fails the test, so that its scope is a decision.
const SCOPES_WANTED: Readonly<Record<string, string>> = {
  'GET /api/server': 'any',
  'GET /api/blueprints': 'any',
  'GET /api/blueprints/{name}': 'any',
  'GET /metrics': 'watcher',
  'GET /api/connections': 'reader',
  'GET /api/connection': 'reader',
  'GET /api/events': 'reader',
  'GET /api/webhooks/dead': 'reader',
  'POST /api/request': 'caller',
  'POST /api/request/page': 'caller',
  'POST /api/actions/{integration}/{action}': 'caller',
  'POST /api/connect-sessions': 'connector',
  'POST /api/connect-confirmations': 'connector',
  'POST /api/device-authorizations': 'connector',
  'POST /api/device-authorizations/poll': 'connector',
  'POST /api/connections': 'operator',
  'PUT /api/connection/credentials': 'operator',
  'PUT /api/connection/config': 'operator',
  'PUT /api/connection/tags': 'operator',
  'PUT /api/connection/oauth-client': 'operator',
  'DELETE /api/connection': 'operator',
  'POST /api/webhooks/replay': 'operator',
};

test('A1: every route requires a permitted key, only in the header, before it reads anything else', async (t) => {
  const { server, as } = await startKeyed(t, 'trusted_proxies: [127.0.0.0/8, ::1/128]\n');
  const keyed = OPERATIONS.filter(({ isKeyed }) => isKeyed);
  assert.deepEqual(
    keyed.map(({ method, path }) => `${method} ${path}`).toSorted(),
    Object.keys(SCOPES_WANTED).toSorted(),
  );
  // Each request has its own address, so that the limit of wrong keys has no effect here.
  let callers = 0;
  const answer = async ({ method, path, members }: Operation, headers: Record<string, string>, query = '') => {
    callers += 1;
    const given = { 'x-forwarded-for': `2001:db8:0:${callers.toString(16)}::1` };
    const url = path.replaceAll(/\{\w+\}/g, 'x') + query;
    const body = members ? { secret_key: SECRET_KEY, access_token: SECRET_KEY } : undefined;
    const response = await server.api(method, url, body, { ...given, authorization: '', ...headers });
    return { status: response.status, text: JSON.stringify(response.body) };
  };
  for (const operation of keyed) {
    const name = `${operation.method} ${operation.path}`;
    for (const [headers, query] of [
      [{}, ''],
      [{ authorization: 'Bearer wrong' }, ''],
      [{ authorization: `Bearer ${SECRET_KEY.slice(0, -1)}` }, ''],
      [{ authorization: `Bearer ${SECRET_KEY} ${SECRET_KEY}` }, ''],
      [{ authorization: `Basic ${btoa(`${SECRET_KEY}:`)}` }, ''],
      [{ cookie: `secret_key=${SECRET_KEY}`, 'x-api-key': SECRET_KEY, 'nango-secret-key': SECRET_KEY }, ''],
      [{}, `?secret_key=${SECRET_KEY}&access_token=${SECRET_KEY}&authorization=Bearer%20${SECRET_KEY}`],
    ] as const) {
      const { status, text } = await answer(operation, headers, query);
      assert.equal(status, 401, `${name} ${JSON.stringify(headers)} ${query}`);
      assert.match(text, /"type":"unauthorized"/);
      assert.doesNotMatch(text, /CANARY/);
    }
    for (const key of ['reader', 'caller', 'connector', 'watcher']) {
      const isPermitted = ['any', key].includes(SCOPES_WANTED[name] ?? '');
      const { status, text } = await answer(operation, as(key));
      assert.equal(status === 401 || status === 403, !isPermitted, `${name} with ${key}: ${status}`);
      if (!isPermitted) assert.match(text, /"type":"insufficient_scope"/, name);
    }
    const { status } = await answer(operation, as('operator'));
    assert.ok(status !== 401 && status !== 403, `${name}: ${status}`);
  }
});

test('A1: a key in the URL is rejected', async (t) => {
  const { server } = await startKeyed(t);
  for (const query of [`key=${SECRET_KEY}`, `secret_key=${SECRET_KEY}`, `access_token=${SECRET_KEY}`]) {
    const answer = await fetch(`${server.url}/api/connections?${query}`);
    assert.equal(answer.status, 401);
    assert.doesNotMatch(await answer.text(), new RegExp(SECRET_KEY));
  }
  assert.doesNotMatch(server.log(), new RegExp(SECRET_KEY));
});

test('A2: two keys both work while one is replaced, and a removed key is rejected at once', async (t) => {
  const { server, config, as } = await startKeyed(t);
  const status = async (name: string) =>
    (await server.api('POST', '/api/request', { integration: 'acme', userId: '1', endpoint: 'x' }, as(name))).status;
  assert.deepEqual([await status('caller'), await status('caller-old')], [200, 200]);
  const port = new URL(server.url).port;
  const file = join(server.folder, 'nango-config.yaml');
  const revoked = config.replace(`['${KEY('caller')}', '${KEY('caller-old')}']`, `'${KEY('caller')}'`);
  const reloaded = (server.log().match(/configuration reloaded/g) ?? []).length;
  writeFileSync(
    file,
    `oauth_server_port: ${port}\noauth_server_root_url: ${server.url}\nmain_server_log_level: debug\n${revoked}`,
  );
  while ((server.log().match(/configuration reloaded/g) ?? []).length === reloaded)
    await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([await status('caller'), await status('caller-old')], [200, 401]);
});

test('A3: an address that sends many wrong keys has to wait, except with a right key', () => {
  const clock = { now: 1_000_000 };
  const keys = new SecretKeys({
    full: [new Secret(SECRET_KEY)],
    configured: () => ({}),
    clientAddress,
    now: () => clock.now,
  });
  const check = (key: string, address: string) => {
    try {
      return keys.check(`Bearer ${key}`, {
        scope: 'admin',
        from: { headers: {}, socket: { remoteAddress: address } as Socket },
      });
    } catch (error) {
      const { code, retryAfter } = error as { code: string; retryAfter?: number };
      return retryAfter === undefined ? code : `${code} ${retryAfter}`;
    }
  };
  for (let count = 0; count < 20; count += 1) assert.equal(check('wrong', '192.0.2.1'), 'unauthorized');
  clock.now += 20_000;
  assert.equal(check('wrong', '192.0.2.1'), 'too_many_requests 40');
  assert.equal(check(SECRET_KEY, '192.0.2.1'), 'main');
  assert.equal(check(SECRET_KEY, '192.0.2.2'), 'main');
  assert.equal(check('wrong', '192.0.2.1'), 'too_many_requests 40');
  clock.now += 40_000;
  assert.equal(check('wrong', '192.0.2.1'), 'unauthorized');
});

test('A3: all addresses of one IPv6 network count as one, in any notation', () => {
  const keys = new SecretKeys({
    full: [new Secret(SECRET_KEY)],
    configured: () => ({}),
    clientAddress,
    now: () => 1_000_000,
  });
  const check = (remoteAddress: string) =>
    keys.check('Bearer wrong', { scope: 'admin', from: { headers: {}, socket: { remoteAddress } as Socket } });
  for (let count = 0; count < 20; count += 1)
    assert.throws(() => check(`2001:db8::${count + 1}:0:0:1`), { code: 'unauthorized' });
  assert.throws(() => check('2001:db8::1'), { code: 'too_many_requests' });
  assert.throws(() => check('2001:db8:0:1::1'), { code: 'unauthorized' });
});

test('A3: the limit holds for API and proxy, with Retry-After', async (t) => {
  const server = await startTestServer(t, { integrations: 'integrations: {}\n' });
  const wrong = { authorization: 'Bearer wrong' };
  for (let count = 0; count < 20; count += 1)
    assert.equal((await server.api('GET', '/api/connections', undefined, wrong)).status, 401);
  for (const path of ['/api/connections', '/proxy/x', '/metrics']) {
    const { status, headers } = await server.api('GET', path, undefined, wrong);
    assert.equal(status, 429, path);
    assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  }
  assert.equal((await server.api('GET', '/api/connections')).status, 200);
});

test('keys of nango-config.yaml that are easy to guess are rejected', async (t) => {
  await assert.rejects(
    startTestServer(t, {
      integrations: 'integrations: {}\n',
      config: 'secret_keys:\n  weak: { key: short, scopes: [everything] }\n',
    }),
    /secret_keys\.weak\.key[\s\S]*20 to 256[\s\S]*secret_keys\.weak\.scopes\.0[\s\S]*must be one of/,
  );
});

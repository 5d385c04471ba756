import assert from 'node:assert/strict';
import { Agent, createServer, request as send } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { startHostileUpstream, type Hostility } from '../support/hostile-upstream.ts';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';

const USERS = 8;
const REQUESTS = 2_200;
const AT_ONCE = 24;

const ACTION = `import { NangoAction } from '@nangohq/action';
class AcmeCallAction extends NangoAction {
  override async executeAction({ method, path }) {
    if (path !== 'pages') return this.httpRequest(path, method);
    const items = [];
    for await (const item of this.paginate('pages')) items.push(item);
    return items;
  }
}
export { AcmeCallAction };
`;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Record<string, unknown>;
  readonly trailers?: object;
  readonly reason?: string | undefined;
}

function utf8(value: unknown): string {
  return Buffer.from(String(value), 'latin1').toString('utf8');
}

/** The API's response, taken from our response if that one describes it. */
function toResponse({ status, body }: { status: number; body: unknown }): Answer {
  const answer = body as { status?: number; data?: string; headers?: Record<string, unknown> };
  return {
    status: answer.status ?? status,
    text: answer.data ?? JSON.stringify(body),
    headers: answer.headers ?? {},
  };
}

function hasResult(body: unknown): body is { result: unknown } {
  return typeof body === 'object' && body !== null && 'result' in body;
}

async function start(t: TestContext, settings = '') {
  const upstream = await startHostileUpstream(t);
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
${settings}
    auth: { auth_mode: API_KEY }
    requests:
      base_url: ${upstream.url}/
      headers: { X-Key: '\${api_key}' }
      pagination: { type: link, items: '*' }
`,
    files: { 'acme/call.action.ts': ACTION },
    // A retry waits until the API's connection is closed.
    delay: () => upstream.closed(),
  });
  for (let user = 0; user < USERS; user += 1)
    await server.nango.registerConnection('acme', `u${user}`, { api_key: `key${user}` });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  t.after(() => agent.destroy());
  const proxied = (path: Hostility, { user = 0, method = 'GET', body = '' } = {}) =>
    new Promise<Answer>((resolve) => {
      const headers = {
        authorization: `Bearer ${SECRET_KEY}`,
        'nango-integration': 'acme',
        'nango-user-id': `u${user}`,
        ...(body === '' ? {} : { 'content-length': body.length }),
      };
      const request = send(`${server.url}/proxy/${path}`, { method, agent, headers }, (response) => {
        let text = '';
        const { statusCode: status = 0, headers: fields, statusMessage: reason } = response;
        const answer = () => ({ status, headers: fields, text, reason });
        response.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
        response.on('end', () => resolve({ ...answer(), trailers: response.trailers }));
        response.on('error', () => resolve({ ...answer(), text: 'broken off' }));
      });
      request.on('error', (error) => resolve({ status: 0, headers: {}, text: error.message }));
      request.end(body);
    });
  const requested = async (path: Hostility, { user = 0, method = 'GET' } = {}): Promise<Answer> => {
    const given = { integration: 'acme', userId: `u${user}`, method, endpoint: path };
    return toResponse(await server.api('POST', '/api/request', given));
  };
  const acted = async (path: Hostility, { user = 0, method = 'GET' } = {}): Promise<Answer> => {
    const given = { userId: `u${user}`, input: { method, path } };
    const { status, body } = await server.api('POST', '/api/actions/acme/call', given);
    return toResponse({ status, body: hasResult(body) ? body.result : body });
  };
  return { server, proxied, requested, acted, upstream };
}

const MIXED: readonly (readonly [method: string, path: Hostility])[] = [
  ['GET', 'plain'],
  ['GET', 'surplus-now'],
  ['GET', 'surplus-later'],
  ['HEAD', 'plain'],
  ['HEAD', 'surplus-now'],
  ['HEAD', 'body-later'],
  ['GET', '204-now'],
  ['GET', '204-later'],
  ['GET', '304-now'],
  ['GET', '304-later'],
  ['POST', 'surplus-later'],
];

for (const way of ['proxied', 'requested', 'acted'] as const) {
  test(`D2: no response holds another user’s bytes if an API sends too much or too late, ${way}`, async (t) => {
    const world = await start(t);
    const mixedUp: string[] = [];
    let next = 0;
    const worker = async () => {
      while (next < REQUESTS) {
        const count = next++;
        const user = count % USERS;
        const [method, path] = MIXED[Math.floor(count / USERS) % MIXED.length] ?? (['GET', 'plain'] as const);
        const { text, headers } = await world[way](path, { user, method });
        const owner = headers['x-owner'] ?? /(?:owner=|forged by )(key\d)/.exec(text)?.[1] ?? `key${user}`;
        if (owner !== `key${user}`) mixedUp.push(`${method} ${path} of key${user}: ${text}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    assert.deepEqual(mixedUp, []);
    assert.equal((await world[way]('plain', { user: 3 })).text, 'owner=key3');
  });

  test(`P11: a request is repeated if the API closes its connection while the retry waits, ${way}`, async (t) => {
    const world = await start(t);
    for (const path of [
      'quota-then-close',
      'quota-http-1.0',
      'quota-until-close',
      ...(way === 'proxied' ? (['quota-cut'] as const) : []),
    ] as const)
      assert.deepEqual([(await world[way](path)).text, world.upstream.counts.get(path)], ['ok', 2]);
  });

  test(`T5, P5: truncated or malformed responses are errors and leave nothing behind, ${way}`, async (t) => {
    const world = await start(t);
    const malformed = ['two-lengths', 'length-and-chunks', 'folded-header', 'bad-chunk', 'huge-head', 'many-headers'];
    for (const path of malformed as Hostility[]) {
      const { status, text } = await world[way](path);
      assert.ok(status === 502 || text === 'broken off', `${path}: ${status} ${text.slice(0, 100)}`);
      assert.equal((await world[way]('plain')).text, 'owner=key0', path);
    }
  });
}

test('D2: pages hold no other user’s items if an API sends bytes behind them', async (t) => {
  const { server, acted } = await start(t);
  const paginated = async (user: number) => {
    const items: unknown[] = [];
    for await (const item of server.nango.paginate('acme', `u${user}`, { endpoint: 'pages' })) items.push(item);
    return JSON.stringify(items);
  };
  const everyUser = Array.from({ length: 10 * USERS }, (_, count) => count % USERS);
  const runs = everyUser.map(async (user) => {
    const lists = [await paginated(user), (await acted('pages', { user })).text];
    for (const list of lists) {
      assert.match(list, new RegExp(`^\\["owner=key${user}"`));
      assert.deepEqual([...new Set(list.match(/key\d/g))], [`key${user}`]);
    }
  });
  await Promise.all(runs);
});

test('T5: an API’s reason phrase and status end neither the server nor the response', async (t) => {
  const { proxied, upstream } = await start(t);
  const found = await proxied('reason-utf-8');
  assert.deepEqual([found.status, found.text, utf8(found.headers['x-name'])], [404, 'ok', '\u627e']);
  assert.equal(utf8(found.reason), '\u627e\u4e0d\u5230');
  const control = await proxied('reason-control');
  assert.deepEqual([control.status, control.text, control.reason], [404, 'ok', 'ab']);
  const unknown = await proxied('status-099');
  assert.deepEqual([unknown.status, unknown.headers['nango-error']], [502, 'request_failed']);
  assert.equal((await proxied('204-with-length')).headers['content-length'], undefined);
  assert.equal((await proxied('plain')).text, 'owner=key0');
  assert.equal(upstream.counts.get('plain'), 1);
});

test('P9: callers over HTTP/1.0 get responses that have trailers', async (t) => {
  const { server } = await start(t);
  const { hostname, port } = new URL(server.url);
  const fields = `Authorization: Bearer ${SECRET_KEY}\r\nNango-Integration: acme\r\nNango-User-Id: u0\r\n`;
  const socket = connect(Number(port), hostname);
  socket.write(`GET /proxy/trailers HTTP/1.0\r\nHost: x\r\n${fields}\r\n`);
  assert.match(await text(socket), /^HTTP\/1\.1 200 OK\r\n(?!.*trailer).*\r\n\r\nok$/is);
});

test('P9: a response that is not replaced after all arrives whole although its connection is closed', async (t) => {
  const { proxied } = await start(t);
  const { status, text, headers } = await proxied('refused-then-close');
  assert.deepEqual([status, text, headers['x-why']], [401, 'not with these', 'scope']);
});

test('P11: a long response is not read to its end if a retry replaces it', async (t) => {
  const { proxied, upstream } = await start(t);
  const { status } = await proxied('quota-long');
  assert.deepEqual([status, upstream.counts.get('quota-long')], [429, 4]);
  assert.equal((await proxied('quota-hang')).text, 'ok');
});

test('P9: trailers arrive whole and filtered, and only where HTTP allows them', async (t) => {
  const { proxied } = await start(t);
  const { text, trailers, headers } = await proxied('trailers');
  assert.deepEqual([text, trailers, headers['trailer']], ['ok', { 'x-a': '1', 'x-b': '2, 3' }, 'X-A, X-B']);
  for (const [method, path, status, body] of [
    ['GET', 'trailer-with-length', 200, 'ok'],
    ['HEAD', 'trailer-with-length', 200, ''],
    ['GET', 'trailer-of-304', 304, ''],
    ['HEAD', 'trailers', 200, ''],
  ] as const) {
    const answer = await proxied(path, { method });
    assert.deepEqual([answer.status, answer.text, answer.headers['trailer']], [status, body, undefined], path);
    assert.equal((await proxied('plain')).text, 'owner=key0');
  }
});

test('D2: share_sockets lets the connections of an Integration share sockets', async (t) => {
  const { proxied } = await start(t, '    share_sockets: true');
  for (let user = 0; user < USERS; user += 1) assert.equal((await proxied('plain', { user })).text, `owner=key${user}`);
});

test('P4: TRACE is rejected because its response would show the credentials', async (t) => {
  const { proxied, upstream } = await start(t);
  const { status, text } = await proxied('plain', { method: 'TRACE' });
  assert.deepEqual([status, upstream.counts.get('plain')], [400, undefined]);
  assert.match(text, /TRACE/);
});

test('base_url may name an IPv6 address', async (t) => {
  const api = createServer((_request, response) => response.end('ok'));
  await new Promise<void>((resolve) => api.listen(0, '::1', resolve));
  t.after(() => (api.closeAllConnections(), api.close()));
  const { port } = api.address() as AddressInfo;
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'http://[::1]:${port}/', headers: { X-Key: '\${api_key}' } }
`,
  });
  await server.nango.registerConnection('acme', '1', { api_key: 'key' });
  const headers = { 'nango-integration': 'acme', 'nango-user-id': '1' };
  assert.equal((await server.api('GET', '/proxy/x', undefined, headers)).body, 'ok');
  assert.equal((await server.nango.request('acme', '1', { endpoint: 'x' })).returnValue.data, 'ok');
});

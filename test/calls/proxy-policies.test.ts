import assert from 'node:assert/strict';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { listen } from '../support/listen.ts';
import { echo, START, startProxied } from '../support/proxied.ts';

test('P2: a redirect on the API’s own origin is followed with new authorization, others are passed on', async (t) => {
  const { call, seen, apiUrl } = await startProxied(t, (request, response) => {
    const target = new URL(request.url ?? '', 'http://x').searchParams.get('to');
    if (target === null) return response.end(`${request.method} ${request.url}`);
    return response.writeHead(Number(request.headers['x-status'] ?? 302), { location: target }).end('moved');
  });
  const to = (target: string, init: RequestInit = {}) => call(`x?to=${encodeURIComponent(target)}`, init);
  const own = await to('/elsewhere?a=1');
  assert.deepEqual([own.status, await own.text()], [200, 'GET /elsewhere?a=1']);
  assert.equal(seen.at(-1)?.headers.authorization, 'Bearer at-1');
  for (const target of ['https://elsewhere.example/', '//elsewhere.example/', `${apiUrl.replace('//', '//a:b@')}/y`]) {
    const foreign = await to(target);
    assert.deepEqual([foreign.status, foreign.headers.get('location')], [302, target]);
  }
  const posted = (status: string, method = 'POST') =>
    to('/next', { method, body: 'body', headers: { 'x-status': status } });
  assert.deepEqual([(await posted('302')).status, (await posted('301')).status], [302, 301]);
  assert.equal(await (await posted('303')).text(), 'GET /next');
  assert.equal(await (await posted('307')).text(), 'POST /next');
  assert.equal(await (await posted('308', 'PUT')).text(), 'PUT /next');
});

test('P2: a redirect to a listed origin is followed once, without credentials', async (t) => {
  const elsewhere: IncomingMessage[] = [];
  const files = createServer((request, response) => {
    elsewhere.push(request);
    response.end('file');
  });
  const origin = `http://localhost:${await listen(t, files)}`;
  const { call, server } = await startProxied(
    t,
    (_request, response) => response.writeHead(302, { location: `${origin}/f?sig=1` }).end(),
    { requests: `      redirect_origins: ['${origin}']\n` },
  );
  const headers = { cookie: 'a=1', 'x-api-key': 'mine', accept: 'text/plain', range: 'bytes=0-1' };
  assert.equal(await (await call('x', { headers })).text(), 'file');
  const [{ headers: seen, url } = assert.fail()] = elsewhere;
  assert.equal(url, '/f?sig=1');
  for (const name of ['authorization', 'cookie', 'x-api-key', 'x-constant']) assert.equal(seen[name], undefined, name);
  assert.deepEqual([seen.accept, seen.range], ['text/plain', 'bytes=0-1']);
  const { returnValue } = await server.nango.request('acme', 'ä 1', { endpoint: 'x' });
  assert.deepEqual([returnValue.data, elsewhere.at(-1)?.headers.authorization], ['file', undefined]);
});

test('a redirect that leads to itself ends', async (t) => {
  const { call, seen } = await startProxied(t, (_request, response) =>
    response.writeHead(302, { location: '/v1/x' }).end(),
  );
  assert.deepEqual([(await call('x')).status, seen.length], [302, 6]);
});

test('P11: the proxy reads an API’s quota as its Blueprint describes it', async (t) => {
  const waits: number[] = [];
  let remaining = '0';
  const { call, seen } = await startProxied(
    t,
    (_request, response) =>
      seen.length % 2 === 1
        ? response
            .writeHead(403, { 'x-left': remaining, 'x-reset': String((START + 120_000) / 1000 + 7) })
            .end('no quota')
        : response.end('fine'),
    {
      requests:
        '      rate_limit: { statuses: [403], remaining_header: X-Left, reset_header: X-Reset, reset_format: epoch }\n',
      delay: async (milliseconds) => void waits.push(milliseconds),
    },
  );
  assert.deepEqual([(await call('x')).status, waits], [200, [7000]]);
  remaining = '5';
  assert.deepEqual([(await call('x')).status, waits.length], [403, 1]);
});

test('P11: the retries of one connection are bounded, and other connections do not wait for them', async (t) => {
  const waiting: (() => void)[] = [];
  const { call, server, seen } = await startProxied(
    t,
    (request, response) =>
      response.writeHead(request.url === '/v1/busy' && waiting.length < 10 ? 429 : 200, { 'retry-after': '1' }).end(),
    { delay: () => new Promise<void>((resolve) => waiting.push(resolve)) },
  );
  await server.nango.registerConnection('acme', 'other', { access_token: 'at-o' });
  const busy = Array.from({ length: 10 }, () => call('busy'));
  while (waiting.length < 10) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await call('fine', { headers: { 'nango-user-id': 'other' } })).status, 200);
  assert.equal((await call('fine')).status, 200);
  for (const resume of waiting) resume();
  assert.deepEqual(
    (await Promise.all(busy)).map(({ status }) => status),
    Array.from({ length: 10 }, () => 200),
  );
  assert.equal(seen.length, 22);
});

test('concurrent requests are limited by connection and Integration, and waiting ones take turns', async (t) => {
  const open: [string, ServerResponse][] = [];
  const { call, server } = await startProxied(
    t,
    (request, response) => void open.push([String(request.headers.authorization), response]),
    {
      settings: '    max_concurrent_requests: 2\n    max_concurrent_requests_per_connection: 1\n',
    },
  );
  await server.nango.registerConnection('acme', 'b', { access_token: 'at-b' });
  await server.nango.registerConnection('acme', 'c', { access_token: 'at-c' });
  const started = async (count: number) => {
    while (open.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  const of = (user: string) => call('x', { headers: { 'nango-user-id': user } });
  const first = [call('x'), call('x'), call('x')];
  await started(1);
  const second = of('b');
  await started(2);
  const third = of('c');
  open[0]?.[1].end();
  await first[0];
  // A free place goes to the connection that has none, not to the connection that waits longest.
  await started(3);
  assert.deepEqual(open.map(([token]) => token).toSorted(), ['Bearer at-1', 'Bearer at-1', 'Bearer at-b']);
  for (let index = 1; index < 5; index += 1) {
    await started(index + 1);
    open[index]?.[1].end();
  }
  const answers = await Promise.all([...first, second, third]);
  assert.ok(answers.every(({ status }) => status === 200));
});

test('a request that waits too long for its turn gets 429 with Retry-After', async (t) => {
  const begun = Promise.withResolvers<ServerResponse>();
  const { call } = await startProxied(t, (_request, response) => begun.resolve(response), {
    settings: '    max_concurrent_requests_per_connection: 1\n    max_queue_seconds: 0\n',
  });
  const first = call('x');
  const held = await begun.promise;
  const refused = await call('x');
  assert.deepEqual(
    [refused.status, refused.headers.get('nango-error'), refused.headers.get('retry-after')],
    [429, 'too_many_requests', '1'],
  );
  held.end('done');
  assert.equal(await (await first).text(), 'done');
});

test('a response that takes too long is aborted, and a response that does not begin is 504', async (t) => {
  const { call } = await startProxied(
    t,
    (request, response) => {
      if (request.url === '/v1/never') return;
      response.writeHead(200).write('first');
      if (request.url === '/v1/drips') setInterval(() => response.write('.'), 50).unref();
    },
    { settings: '    request_timeouts: { headers_seconds: 0.3, idle_seconds: 0.3, total_seconds: 1 }\n' },
  );
  assert.equal((await call('never')).headers.get('nango-error'), 'request_timeout');
  for (const path of ['stalls', 'drips']) await assert.rejects((await call(path)).text(), path);
});

test('a caller without permission gets the error before they send the body (Expect: 100-continue)', async (t) => {
  const { server, headers, seen } = await startProxied(t, echo);
  const post = (path: string, fields: Record<string, string>) =>
    new Promise<{ continued: boolean; status: number | undefined; body: string }>((resolve, reject) => {
      let continued = false;
      const request = httpRequest(`${server.url}/proxy/${path}`, {
        method: 'POST',
        headers: { ...headers, ...fields, expect: '100-continue', 'content-length': '4' },
      });
      request.on('continue', () => ((continued = true), request.end('body')));
      request.on('error', reject);
      request.on('response', (answer) => {
        void answer.toArray().then((chunks: Buffer[]) => {
          request.destroy();
          return resolve({ continued, status: answer.statusCode, body: Buffer.concat(chunks).toString() });
        });
      });
      request.flushHeaders();
    });
  assert.deepEqual(await post('x', {}), { continued: true, status: 200, body: 'body' });
  assert.deepEqual(seen[0]?.headers.expect, undefined);
  const refused = await post('x', { authorization: 'Bearer wrong' });
  assert.deepEqual([refused.continued, refused.status], [false, 401]);
});

test('P9: a WebSocket is authorized like any request, and bytes pass unchanged in both directions', async (t) => {
  const { server, headers, upstream, url } = await startProxied(t, (_request, response) =>
    response.writeHead(403, { 'x-own': '1' }).end('no socket here'),
  );
  const handshakes: IncomingMessage[] = [];
  upstream.on('upgrade', (request: IncomingMessage, socket) => {
    handshakes.push(request);
    if (request.url === '/v1/refuses') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc\r\n' +
        'Set-Cookie: a=1\r\nX-Name: \u00e9\r\nContent-Length: 5\r\n\r\nhello',
      'latin1',
    );
    socket.on('data', (chunk: Buffer) => socket.write(Buffer.concat([Buffer.from('echo '), chunk])));
    socket.on('error', () => undefined).on('end', () => socket.end());
    if (request.url === '/v1/ends') socket.end();
  });
  const open = async (path: string, fields: Record<string, string> = {}) => {
    const socket = connect(Number(new URL(server.url).port), 'localhost');
    const all = {
      ...headers,
      ...fields,
      host: 'x',
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': 'k',
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${new URL(url).pathname}${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    let received = '';
    socket.on('data', (chunk) => (received += chunk.toString('latin1')));
    const until = async (text: string) => {
      while (!received.includes(text)) await new Promise((resolve) => setImmediate(resolve));
    };
    return { socket, until, received: () => received };
  };
  const { socket, until, received } = await open('live?a=1');
  await until('hello');
  assert.match(received(), /^HTTP\/1\.1 101 /);
  assert.match(received(), /^x-name: \u00e9\r$/m);
  assert.doesNotMatch(received(), /content-length/i);
  assert.match(received(), /sec-websocket-accept: abc/);
  assert.doesNotMatch(received(), /\r\nset-cookie/i);
  const [handshake = assert.fail()] = handshakes;
  assert.deepEqual(
    [handshake.url, handshake.headers.authorization, handshake.headers['sec-websocket-key']],
    ['/v1/live?a=1', 'Bearer at-1', 'k'],
  );
  socket.write(Buffer.from([0, 255, 13, 10]));
  await until('echo \0ÿ\r\n');
  socket.destroy();
  await (await open('ends')).until('hello');
  assert.match(server.log(), /"status":101/);

  const refused = await open('refuses');
  await refused.until('no');
  assert.match(refused.received(), /^HTTP\/1\.1 403 /);
  const stranger = await open('live', { authorization: 'Bearer wrong' });
  await stranger.until('unauthorized');
  assert.match(stranger.received(), /^HTTP\/1\.1 401 /);
  assert.equal(handshakes.length, 3);
  // A server that stops does not wait for sockets that stay open.
  await (await open('live')).until('hello');
  await server.running.close();
});

test('the request id is the same from the caller to the API', async (t) => {
  const { call, seen, server } = await startProxied(t, echo);
  const named = await call('x', { headers: { 'x-request-id': 'mine-1' } });
  assert.equal(named.headers.get('nango-request-id'), 'mine-1');
  assert.equal(seen[0]?.headers['x-request-id'], 'mine-1');
  assert.match(server.log(), /"requestId":"mine-1"/);
  const hostile = await call('x', { headers: { 'x-request-id': 'a b"c' } });
  assert.match(hostile.headers.get('nango-request-id') ?? '', /^[0-9a-f-]{36}$/);
  const { headers } = await server.api('GET', '/api/connections', undefined, { 'x-request-id': 'mine-2' });
  assert.equal(headers.get('nango-request-id'), 'mine-2');
});

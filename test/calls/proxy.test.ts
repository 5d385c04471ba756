import assert from 'node:assert/strict';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { SECRET_KEY } from '../support/nango-server.ts';
import { echo, startProxied } from '../support/proxied.ts';

test('a request reaches the API authorized, below base_url, with its method, query and body', async (t) => {
  const { call, seen } = await startProxied(t, echo);
  const answer = await call('users/me?a=1&b=%20', { method: 'PATCH', body: 'täxt', headers: { 'x-mine': '1' } });
  assert.deepEqual([answer.status, await answer.text()], [200, 'täxt']);
  const [{ method, url, headers } = assert.fail()] = seen;
  assert.deepEqual([method, url], ['PATCH', '/v1/users/me?a=1&b=%20']);
  assert.deepEqual(
    [headers.authorization, headers['x-constant'], headers['x-mine'], headers['content-length']],
    ['Bearer at-1', 'constant', '1', '5'],
  );
});

test('P4: callers can neither replace, remove nor read injected headers, and the API never gets our key', async (t) => {
  const { raw, rawHead, seen } = await startProxied(t, echo);
  await raw(
    `GET /proxy/x HTTP/1.1\r\n${rawHead.replace('Connection: close', 'Connection: close, Authorization, X-Named')}` +
      'X-Named: 1\r\nX-Twice: 1\r\nX-Twice: 2\r\nProxy-Authorization: x\r\nTE: trailers\r\n\r\n',
  );
  const [{ headers, rawHeaders } = assert.fail()] = seen;
  assert.equal(headers.authorization, 'Bearer at-1');
  assert.equal(headers['x-twice'], '1, 2');
  for (const name of ['x-named', 'proxy-authorization', 'te', 'nango-integration', 'nango-user-id'])
    assert.equal(headers[name], undefined, name);
  assert.ok(!rawHeaders.join().includes(SECRET_KEY));
  assert.notEqual(headers.host, 'x');
});

test('P12: an API’s response headers that affect our origin are filtered', async (t) => {
  const planted = {
    'set-cookie': ['a=1', 'b=2'],
    'strict-transport-security': 'max-age=1',
    'access-control-allow-origin': '*',
    'clear-site-data': '"*"',
    'content-security-policy': "script-src 'unsafe-inline'",
    'nango-error': 'forged',
    connection: 'keep-alive, x-named',
    'x-named': '1',
    'x-kept': '1',
  };
  const { call } = await startProxied(t, (_request, response) => response.writeHead(200, planted).end('<script>'));
  const { headers } = await call('x');
  assert.equal(headers.get('nango-set-cookie'), 'a=1, b=2');
  assert.equal(headers.get('content-security-policy'), "default-src 'none'; sandbox");
  assert.equal(headers.get('x-kept'), '1');
  for (const name of [
    'set-cookie',
    'strict-transport-security',
    'access-control-allow-origin',
    'clear-site-data',
    'nango-error',
    'x-named',
  ])
    assert.equal(headers.get(name), null, name);
});

test('P9: encodings, ranges, empty responses, HEAD and trailers pass byte by byte', async (t) => {
  const zipped = gzipSync('text '.repeat(1000));
  const { url, headers, call } = await startProxied(t, (request, response) => {
    if (request.url === '/v1/gzip') return response.writeHead(200, { 'content-encoding': 'gzip' }).end(zipped);
    if (request.url === '/v1/range')
      return response.writeHead(206, { 'content-range': 'bytes 0-1/9', 'content-length': 2 }).end('ab');
    if (request.url === '/v1/none') return response.writeHead(204).end();
    if (request.url === '/v1/same') return response.writeHead(304, { etag: '"1"' }).end();
    if (request.url === '/v1/head') return response.writeHead(200, { 'content-length': 1234 }).end();
    response.writeHead(200, { trailer: 'x-sum' });
    response.write('a');
    response.addTrailers({ 'x-sum': '42' });
    return response.end('b');
  });
  const received = await new Promise<Buffer>((resolve) => {
    httpRequest(`${url}gzip`, { headers }, (answer) => {
      assert.equal(answer.headers['content-encoding'], 'gzip');
      void answer.toArray().then((chunks: Buffer[]) => resolve(Buffer.concat(chunks)));
    }).end();
  });
  assert.deepEqual(received, zipped);
  const range = await call('range');
  assert.deepEqual([range.status, range.headers.get('content-range'), await range.text()], [206, 'bytes 0-1/9', 'ab']);
  assert.equal((await call('none')).status, 204);
  const same = await call('same');
  assert.deepEqual([same.status, same.headers.get('etag')], [304, '"1"']);
  const head = await call('head', { method: 'HEAD' });
  assert.deepEqual([head.headers.get('content-length'), await head.text()], ['1234', '']);
  const trailers = await new Promise((resolve) => {
    httpRequest(`${url}trailers`, { headers }, (answer) =>
      answer.resume().once('end', () => resolve(answer.trailers)),
    ).end();
  });
  assert.deepEqual(trailers, { 'x-sum': '42' });
});

test('P9: events arrive one by one while the response continues', async (t) => {
  let answer: ServerResponse | undefined;
  const { call } = await startProxied(t, (_request, response) => {
    answer = response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
  });
  const { body } = await call('events');
  const reader = (body ?? assert.fail()).getReader();
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    answer?.write(event);
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), event);
  }
  answer?.end();
  assert.equal((await reader.read()).done, true);
});

test('P8: large bodies stream both ways at once', async (t) => {
  const { call } = await startProxied(t, echo);
  const chunk = Buffer.alloc(65_536, 1);
  const count = 400;
  const body = Readable.toWeb(
    Readable.from(
      (function* chunks() {
        for (let index = 0; index < count; index += 1) yield chunk;
      })(),
    ),
  ) as ReadableStream;
  const answer = await call('upload', { method: 'POST', body, duplex: 'half' });
  let size = 0;
  for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) size += part.length;
  assert.equal(size, chunk.length * count);
});

test('P8: a call ends when the caller disconnects, and a response ends when the API disconnects', async (t) => {
  const gone = Promise.withResolvers<void>();
  const { call, url, headers } = await startProxied(t, (request, response) => {
    response.writeHead(200).write('first');
    if (request.url === '/v1/breaks') return setImmediate(() => response.destroy());
    return response.once('close', () => gone.resolve());
  });
  const client = httpRequest(`${url}hangs`, { headers }, (answer) => answer.once('data', () => client.destroy()));
  client.on('error', () => undefined).end();
  await gone.promise;
  const broken = await call('breaks');
  await assert.rejects(broken.text());
});

test('P8: the caller gets a response that the API sends early, and their next request works', async (t) => {
  const { call } = await startProxied(t, (request, response) => {
    if (request.method === 'GET') return response.end('next');
    return response.writeHead(413).end('too large');
  });
  const answer = await call('x', { method: 'POST', body: Buffer.alloc(4_000_000) });
  assert.deepEqual([answer.status, await answer.text()], [413, 'too large']);
  assert.equal(await (await call('x')).text(), 'next');
});

test('P10: a token that the API rejects is refreshed once and the request is repeated once', async (t) => {
  const { call, seen, tokens, server } = await startProxied(t, async (request, response) => {
    const body = (await request.toArray()).join('');
    const good = request.headers.authorization === 'Bearer at-2' && request.url === '/v1/x';
    response.writeHead(good ? 200 : 401).end(`${request.headers.authorization} ${body}`);
  });
  const answers = await Promise.all([1, 2, 3].map((count) => call('x', { method: 'POST', body: `body ${count}` })));
  assert.deepEqual(
    await Promise.all(answers.map(async (answer) => [answer.status, await answer.text()])),
    [1, 2, 3].map((count) => [200, `Bearer at-2 body ${count}`]),
  );
  assert.equal(tokens(), 2);
  const before = seen.length;
  const refused = await call('forbidden');
  assert.deepEqual(
    [refused.status, await refused.text(), refused.headers.get('nango-error')],
    [401, 'Bearer at-2 ', null],
  );
  assert.deepEqual([seen.length, tokens()], [before + 1, 2]);
  // request() of the SDK does the same.
  const { returnValue } = await server.nango.request('acme', 'ä 1', { endpoint: 'forbidden' });
  assert.deepEqual([returnValue.status, tokens()], [401, 2]);
});

test('P10: a streamed body is not sent again', async (t) => {
  const { call, seen, tokens } = await startProxied(t, (request, response) => {
    request.resume().once('end', () => response.writeHead(401).end());
  });
  const answer = await call('x', { method: 'POST', body: Buffer.alloc(100_000) });
  assert.deepEqual([answer.status, seen.length, tokens()], [401, 1, 1]);
});

test('P11: a request that exceeds the quota is repeated at most three times, and only if it may be', async (t) => {
  let status = 429;
  const { call, seen } = await startProxied(t, (_request, response) =>
    response.writeHead(status, { 'retry-after': '1' }).end('busy'),
  );
  const post = { method: 'POST', body: 'b' };
  const asked = { 'nango-retry-any-method': 'true' };
  assert.deepEqual([(await call('x')).status, seen.length], [429, 4]);
  assert.deepEqual([(await call('x', { headers: { 'nango-retries': '1' } })).status, seen.length], [429, 6]);
  assert.deepEqual([(await call('x', post)).status, seen.length], [429, 7]);
  assert.deepEqual([(await call('x', { ...post, headers: asked })).status, seen.length], [429, 11]);
  status = 503;
  assert.deepEqual([(await call('x', { ...post, headers: asked })).status, seen.length], [503, 12]);
  assert.deepEqual([(await call('x')).status, seen.length], [503, 16]);
  assert.equal((await call('x', { headers: { 'nango-retries': '11' } })).status, 400);
  assert.ok(seen.every(({ headers }) => !('nango-retries' in headers)));
});

test('our errors are marked and say what to do, and an API’s own errors pass unchanged', async (t) => {
  const { call, url, headers, server } = await startProxied(
    t,
    (request, response) => {
      if (request.url === '/v1/hangs') return;
      if (request.url === '/v1/cuts') return void request.socket.destroy();
      response.writeHead(500, { 'x-own': '1' }).end('own');
    },
    { settings: '    http_request_timeout_seconds: 1' },
  );
  const own = await call('x');
  assert.deepEqual([own.status, own.headers.get('nango-error'), await own.text()], [500, null, 'own']);
  for (const [init, path, status, type] of [
    [{ authorization: '' }, 'x', 401, 'unauthorized'],
    [{ authorization: 'Bearer wrong' }, 'x', 401, 'unauthorized'],
    [{ 'nango-integration': 'acne' }, 'x', 404, 'connection_not_found'],
    [{ 'nango-integration': 'a.b' }, 'x', 400, 'invalid_request'],
    [{ 'nango-user-id': 'nobody' }, 'x', 404, 'connection_not_found'],
    [{ 'nango-user-id': '%zz' }, 'x', 400, 'invalid_request'],
    [{ 'nango-user-id': '' }, 'x', 400, 'invalid_request'],
    [{}, 'cuts', 502, 'request_failed'],
    [{}, 'hangs', 504, 'request_timeout'],
  ] as const) {
    const answer = await fetch(`${url}${path}`, { headers: { ...headers, ...init } });
    const { error } = (await answer.json()) as { error: { type: string; requestId: string } };
    assert.deepEqual([answer.status, answer.headers.get('nango-error'), error.type], [status, type, type]);
  }
  assert.doesNotMatch(server.log(), new RegExp(`at-1|${SECRET_KEY}`));
});

test('P1: no endpoint leaves the base_url', async (t) => {
  const { raw, rawHead, seen } = await startProxied(t, echo);
  for (const path of [
    '../x',
    '%2e%2e/x',
    'a/..%2f..%2fx',
    '//evil.example',
    'https://evil.example/',
    'a\\..\\..\\x',
    '%252e%252e/x',
    'x#y',
    ';/../x',
  ]) {
    const answer = await raw(`GET /proxy/${path} HTTP/1.1\r\n${rawHead}\r\n`);
    assert.match(answer, /^HTTP\/1\.1 400 /, path);
  }
  assert.deepEqual(
    seen.map(({ url }) => url),
    [],
  );
});

test('P5: input that could be read as two requests is rejected and never reaches the API', async (t) => {
  const { raw, rawHead, seen } = await startProxied(t, echo);
  for (const rest of [
    'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
    'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
    'X-Folded: a\r\n b\r\n\r\n',
    'X-Bare: a\nX-Other: b\r\n\r\n',
    'X-Nul: a\0b\r\n\r\n',
  ]) {
    const answer = await raw(`POST /proxy/x HTTP/1.1\r\n${rawHead}${rest}`);
    assert.match(answer, /^HTTP\/1\.1 400 /, JSON.stringify(rest));
  }
  assert.equal(seen.length, 0);
});

test('a server that is stopping ends the responses in flight', async (t) => {
  let answer: ServerResponse | undefined;
  const { call, server } = await startProxied(t, (_request, response) => {
    answer = response.writeHead(200);
    response.write('first ');
  });
  const { body } = await call('x');
  const stopping = server.running.close();
  answer?.end('last');
  const chunks: Uint8Array[] = [];
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'first last');
  await stopping;
});

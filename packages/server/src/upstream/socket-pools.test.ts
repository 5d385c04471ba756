import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { HttpClient, type StreamedRequest } from './http-client.ts';

interface RawResponse {
  status?: number;
  body: string;
  trailers?: object;
  error?: Error;
}

/** An API that writes the bytes of the test, and a client of it. */
async function startRaw(t: TestContext, onRequest: (socket: Socket, text: string, count: number) => void) {
  const sockets: Socket[] = [];
  const requests: string[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      requests.push(bytes.toString('latin1'));
      onRequest(socket, bytes.toString('latin1'), requests.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new HttpClient();
  t.after(async () => {
    await client.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const send = (
    { path = '/x', ...request }: Partial<StreamedRequest> & { path?: string } = {},
    hooks: { onHead?: (controller: Dispatcher.DispatchController) => void } = {},
  ) =>
    new Promise<RawResponse>((resolve) => {
      const response: RawResponse = { body: '' };
      client.stream(
        {
          target: { origin, path, query: '' },
          owner: 'one',
          guarded: false,
          clientCertificate: undefined,
          method: 'GET',
          headers: {},
          body: undefined,
          headersTimeout: 0,
          bodyTimeout: 0,
          ...request,
        },
        {
          onRequestStart() {},
          onResponseStart(controller, status) {
            if (status < 200) return;
            response.status = status;
            hooks.onHead?.(controller);
          },
          onResponseData: (_controller, chunk) => void (response.body += chunk.toString('latin1')),
          onResponseEnd: (_controller, trailers) => resolve({ ...response, trailers: { ...trailers } }),
          onResponseError: (_controller, error) => resolve({ ...response, error }),
        },
      );
    });
  return { send, sockets, requests, origin };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a connection is kept for the next request, and serves one at a time', async (t) => {
  const { send, sockets, requests, origin } = await startRaw(t, (socket) => void socket.write(OK));
  const first = await send({ headers: { 'x-a': 'ü' }, path: '/a?b=1' });
  assert.deepEqual([first.status, first.body], [200, 'ok']);
  // A socket is free again after one more round of events, in which no late bytes arrived.
  await turn();
  await send({ method: 'POST' });
  await turn();
  await send({ method: 'PUT', body: Buffer.from('body') });
  assert.equal(sockets.length, 1);
  await turn();
  const host = origin.slice('http://'.length);
  assert.deepEqual(requests, [
    `GET /a?b=1 HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\nx-a: ü\r\n\r\n`,
    `POST /x HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n`,
    `PUT /x HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\ncontent-length: 4\r\n\r\nbody`,
  ]);
  await Promise.all([send(), send(), send()]);
  assert.equal(sockets.length, 3);
});

test('a response in any number of pieces, after interim ones, in chunks with trailers, or until the end', async (t) => {
  const wire =
    'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' +
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 3\r\n\r\n';
  const { send, sockets } = await startRaw(t, (socket, text) => {
    if (text.startsWith('GET /end')) return socket.end('HTTP/1.1 200 OK\r\n\r\nall of it');
    const step = (at: number) => {
      if (at >= wire.length) return;
      socket.write(wire.slice(at, at + 7), () => setImmediate(() => step(at + 7)));
    };
    return step(0);
  });
  assert.deepEqual(await send(), { status: 200, body: 'abc', trailers: { 'x-sum': '3' } });
  await turn();
  assert.deepEqual(await send(), { status: 200, body: 'abc', trailers: { 'x-sum': '3' } });
  assert.equal(sockets.length, 1);
  assert.equal((await send({ path: '/end' })).body, 'all of it');
});

test('P5: bytes after a response never become the response to the next request', async (t) => {
  const { send, sockets } = await startRaw(t, (socket, _text, count) =>
    socket.write(count === 1 ? `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged` : OK),
  );
  assert.deepEqual([(await send()).body, (await send()).body], ['ok', 'ok']);
  assert.equal(sockets.length, 2);
});

test('a connection that the API closed is replaced only for requests that may be sent twice', async (t) => {
  const { send, requests } = await startRaw(t, (socket, text, count) => {
    // The API closes the connection when the second request arrives.
    if (count === 2 || text.startsWith('POST /cut')) return socket.destroy();
    return socket.write(OK);
  });
  await send();
  assert.equal((await send()).body, 'ok');
  assert.equal(requests.length, 3);
  const { error } = await send({ method: 'POST', path: '/cut' });
  assert.match(String(error), /other side closed/);
  assert.equal(requests.length, 4);
});

test('a response that breaks off, is malformed or has an endless head is an error', async (t) => {
  const responses = [
    'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}`,
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    'nonsense\r\n\r\n',
  ];
  const { send } = await startRaw(t, (socket) => void socket.end(responses.shift() ?? ''));
  for (let left = responses.length; left > 0; left -= 1) assert.ok((await send()).error);
});

test('requests that would be malformed are never written', async (t) => {
  const { send, requests } = await startRaw(t, (socket) => void socket.write(OK));
  for (const request of [
    { path: '/a b' },
    { path: '/a\r\nX: y' },
    { method: 'GET /x HTTP/1.1\r\n' },
    { headers: { 'x-a': 'b\r\nX: y' } },
    { headers: { 'x-a': 'b\0' } },
    { headers: { 'x\r\n': 'b' } },
    { headers: { 'x-a': '\u0131' } },
  ])
    assert.match(String((await send(request)).error), /InvalidArgumentError|ERR_INVALID/);
  assert.deepEqual(requests, []);
});

test('the time before the response and between two pieces is limited; a caller’s pause is not', async (t) => {
  const { send } = await startRaw(t, (socket, text) => {
    if (text.startsWith('GET /silent')) return;
    if (text.startsWith('GET /drips')) {
      socket.write('HTTP/1.1 200 OK\r\nX: ');
      return void setInterval(() => socket.write('x'), 10).unref();
    }
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
    if (text.startsWith('GET /paused')) socket.write('cd');
  });
  const limits = { headersTimeout: 60, bodyTimeout: 50 };
  assert.equal((await send({ path: '/silent', ...limits })).error?.name, 'HeadersTimeoutError');
  assert.equal((await send({ path: '/drips', ...limits })).error?.name, 'HeadersTimeoutError');
  assert.equal((await send({ path: '/stalls', ...limits })).error?.name, 'BodyTimeoutError');
  const paused = await send(
    { path: '/paused', ...limits },
    {
      onHead(controller) {
        controller.pause();
        setTimeout(() => controller.resume(), 150);
      },
    },
  );
  assert.deepEqual([paused.error, paused.body], [undefined, 'abcd']);
});

test('an upload may take longer than the limit for the beginning of a response', async (t) => {
  const { send } = await startRaw(t, (socket, text) => void (text.endsWith('end') && socket.write(OK)));
  const body = Readable.from(
    (async function* slow() {
      yield Buffer.from('begin');
      await new Promise((resolve) => setTimeout(resolve, 150));
      yield Buffer.from('end');
    })(),
  );
  const response = await send({ method: 'POST', body, contentLength: '8', headersTimeout: 50, bodyTimeout: 50 });
  assert.deepEqual([response.error, response.body], [undefined, 'ok']);
});

test('bytes that came with the head wait until the head is handled', async (t) => {
  const { send } = await startRaw(t, (socket) => void socket.write(OK));
  let resumed = false;
  const response = send(
    {},
    {
      onHead(controller) {
        controller.pause();
        setImmediate(() => {
          resumed = true;
          controller.resume();
        });
      },
    },
  );
  assert.deepEqual([(await response).body, resumed], ['ok', true]);
});

test('an abort reports its own reason, and ends the connection', async (t) => {
  const closed = Promise.withResolvers<void>();
  const { send } = await startRaw(t, (socket) => {
    socket.once('close', () => closed.resolve());
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
  });
  const { error } = await send({}, { onHead: (controller) => controller.abort(new Error('enough')) });
  assert.equal(error?.message, 'enough');
  await closed.promise;
});

test('an API that cannot be reached is an error', async (t) => {
  const { send } = await startRaw(t, () => undefined);
  const { error } = await send({ target: { origin: 'http://127.0.0.1:1', path: '/x', query: '' } });
  assert.match(String(error), /ECONNREFUSED/);
});

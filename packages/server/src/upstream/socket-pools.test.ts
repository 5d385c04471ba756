import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { HttpClient, type StreamedRequest } from './http-client.ts';

interface Answer {
  status?: number;
  body: string;
  trailers?: object;
  error?: Error;
}

/** An API that writes bytes as a test says, and a client of it. */
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
    new Promise<Answer>((resolve) => {
      const answer: Answer = { body: '' };
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
            answer.status = status;
            hooks.onHead?.(controller);
          },
          onResponseData: (_controller, chunk) => void (answer.body += chunk.toString('latin1')),
          onResponseEnd: (_controller, trailers) => resolve({ ...answer, trailers: { ...trailers } }),
          onResponseError: (_controller, error) => resolve({ ...answer, error }),
        },
      );
    });
  return { send, sockets, requests, origin };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a connection is kept and used for the next request, one at a time', async (t) => {
  const { send, sockets, requests, origin } = await startRaw(t, (socket) => void socket.write(OK));
  const first = await send({ headers: { 'x-a': 'ü' }, path: '/a?b=1' });
  assert.deepEqual([first.status, first.body], [200, 'ok']);
  // A socket is free again when one more round of events has shown nothing that came too late.
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

test('an answer in any number of pieces, after interim ones, in chunks with trailers, or until the end', async (t) => {
  const wire =
    'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 3\r\n\r\n';
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

test('P5: bytes behind an answer never become the answer to the next request', async (t) => {
  const { send, sockets } = await startRaw(t, (socket, _text, count) =>
    socket.write(count === 1 ? `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged` : OK),
  );
  assert.deepEqual([(await send()).body, (await send()).body], ['ok', 'ok']);
  assert.equal(sockets.length, 2);
});

test('a connection that the API closed is replaced for what may be sent twice, and for nothing else', async (t) => {
  const { send, requests } = await startRaw(t, (socket, text, count) => {
    // Closed in the moment in which the second request arrives.
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

test('an answer that breaks off, is malformed or endless in its head is an error', async (t) => {
  const answers = [
    'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}`,
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    'nonsense\r\n\r\n',
  ];
  const { send } = await startRaw(t, (socket) => void socket.end(answers.shift() ?? ''));
  for (let left = answers.length; left > 0; left -= 1) assert.ok((await send()).error);
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

test('time that an API takes to begin, and between two pieces, is bounded; a caller’s pause is not', async (t) => {
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

test('an upload may take longer than an answer may take to begin', async (t) => {
  const { send } = await startRaw(t, (socket, text) => void (text.endsWith('end') && socket.write(OK)));
  const body = Readable.from(
    (async function* slow() {
      yield Buffer.from('begin');
      await new Promise((resolve) => setTimeout(resolve, 150));
      yield Buffer.from('end');
    })(),
  );
  const answer = await send({ method: 'POST', body, contentLength: '8', headersTimeout: 50, bodyTimeout: 50 });
  assert.deepEqual([answer.error, answer.body], [undefined, 'ok']);
});

test('what came with the head waits while the head is being judged', async (t) => {
  const { send } = await startRaw(t, (socket) => void socket.write(OK));
  let resumed = false;
  const answer = send(
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
  assert.deepEqual([(await answer).body, resumed], ['ok', true]);
});

test('who aborts gets his own reason, and the connection ends', async (t) => {
  const closed = Promise.withResolvers<void>();
  const { send } = await startRaw(t, (socket) => {
    socket.once('close', () => closed.resolve());
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
  });
  const { error } = await send({}, { onHead: (controller) => controller.abort(new Error('enough')) });
  assert.equal(error?.message, 'enough');
  await closed.promise;
});

test('an API that is not there is an error', async (t) => {
  const { send } = await startRaw(t, () => undefined);
  const { error } = await send({ target: { origin: 'http://127.0.0.1:1', path: '/x', query: '' } });
  assert.match(String(error), /ECONNREFUSED/);
});

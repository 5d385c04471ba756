import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { targetOf } from '../formats/request-target.ts';
import { createOAuthHttp, HttpClient } from './http-client.ts';

async function serve(t: TestContext, listener: RequestListener): Promise<{ url: string; client: HttpClient }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new HttpClient();
  t.after(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/secret-path?k=v`,
    client,
  };
}

const call = { method: 'GET', headers: {}, timeoutMs: 0, maxBytes: 1_000 } as const;
const callTo = (url: string) => ({ ...call, target: targetOf(new URL(url)) });

test('T5: a body that arrives slowly ends with the time limit of the whole request', async (t) => {
  let closed = () => {};
  const gone = new Promise<void>((resolve) => (closed = resolve));
  const { url, client } = await serve(t, (_request, response) => {
    const drip = setInterval(() => response.write('x'), 10);
    response.on('close', () => {
      clearInterval(drip);
      closed();
    });
  });
  await assert.rejects(
    createOAuthHttp(client, { now: Date.now, timeoutMs: 100 })({ method: 'POST', url, headers: {} }),
    { code: 'request_timeout' },
  );
  await gone;
});

test('T5: a body above the limit is given up', async (t) => {
  const { url, client } = await serve(t, (_request, response) => void response.end('x'.repeat(1_001)));
  await assert.rejects(client.send(callTo(url)), { code: 'response_too_large' });
});

test('the response of a token endpoint is decoded, although no coding was requested', async (t) => {
  const { url, client } = await serve(
    t,
    (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":1}')),
  );
  const http = createOAuthHttp(client, { now: Date.now });
  assert.equal((await http({ method: 'POST', url, headers: {} })).body.reveal(), '{"a":1}');
  assert.equal((await client.send(callTo(url))).receivedBytes, gzipSync('{"a":1}').length);
});

test('T5: a small response that unpacks to a large one is given up', async (t) => {
  const { url, client } = await serve(
    t,
    (_request, response) =>
      void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(70_000))),
  );
  const http = createOAuthHttp(client, { now: Date.now });
  await assert.rejects(http({ method: 'POST', url, headers: {} }), { code: 'response_too_large' });
});

test('T4: redirects are not followed', async (t) => {
  const { url, client } = await serve(
    t,
    (_request, response) => void response.writeHead(302, { location: '/elsewhere' }).end(),
  );
  const { status, headers } = await client.send(callTo(url));
  assert.deepEqual([status, headers['location']], [302, '/elsewhere']);
});

test('repeated headers are joined, except for Set-Cookie', async (t) => {
  const { url, client } = await serve(
    t,
    (_request, response) =>
      void response.writeHead(200, ['x-a', '1', 'x-a', '2', 'set-cookie', 'a=1', 'set-cookie', 'b=2']).end(),
  );
  const { headers } = await client.send(callTo(url));
  assert.equal(headers['x-a'], '1, 2');
  assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
});

test('P13: errors name the host, never the path or query', async (t) => {
  const { url, client } = await serve(t, (request) => void request.socket.destroy());
  await assert.rejects(
    client.send(callTo(url)),
    (error: Error) => /127\.0\.0\.1:\d+ failed/.test(error.message) && !/secret-path|k=v/.test(error.message),
  );
  await assert.rejects(client.send(callTo('http://127.0.0.1:1/secret-path')), {
    code: 'request_failed',
    message: /ECONNREFUSED/,
  });
});

test('T5: a certificate for another name, or of an unknown authority, ends the call before it is sent', async (t) => {
  const fixture = (name: string) =>
    readFileSync(join(import.meta.dirname, '../../../../test/fixtures/tls', name), 'utf8');
  let requests = 0;
  const server = createTlsServer({ key: fixture('server.key'), cert: fixture('server.crt') }, (_request, response) => {
    requests += 1;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const trusting = new HttpClient({ connect: { ca: fixture('server.crt') } });
  const strict = new HttpClient();
  t.after(async () => {
    await Promise.all([trusting.close(), strict.close()]);
    server.closeAllConnections();
    server.close();
  });
  await assert.rejects(trusting.send(callTo(`https://127.0.0.1:${port}/`)), {
    code: 'request_failed',
    message: /ERR_TLS_CERT_ALTNAME_INVALID/,
  });
  await assert.rejects(strict.send(callTo(`https://localhost:${port}/`)), {
    code: 'request_failed',
    message: /SELF_SIGNED_CERT/,
  });
  assert.equal(requests, 0);
  assert.equal((await trusting.send(callTo(`https://localhost:${port}/`))).status, 200);
});

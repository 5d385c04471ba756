import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { listen } from '../support/listen.ts';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';

const EMPTY = 'integrations: {}\n';

/** Writes bytes unchanged, and resolves to what comes back until the server closes. */
async function raw(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), 'localhost');
  socket.write(text);
  let received = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) received += chunk.toString('latin1');
  return received;
}

test('A4: heads that are too long are rejected on every route', async (t) => {
  const { url } = await startTestServer(t, { integrations: EMPTY });
  for (const path of ['/proxy/x', '/api/connections', '/oauth/callback']) {
    const fields = `Host: x\r\nAuthorization: Bearer ${SECRET_KEY}\r\n`;
    assert.match(
      await raw(url, `GET ${path} HTTP/1.1\r\n${fields}X: ${'x'.repeat(20_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 /,
    );
    assert.match(await raw(url, `GET ${path}?${'x'.repeat(20_000)} HTTP/1.1\r\n${fields}\r\n`), /^HTTP\/1\.1 431 /);
  }
});

test('A4: requests without a host, or with a target that is not a path, get a response', async (t) => {
  const { url } = await startTestServer(t, { integrations: EMPTY });
  assert.match(await raw(url, 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await raw(url, 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 40[04] /);
  const absolute = 'GET http://evil.example/proxy/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  assert.match(await raw(url, absolute), /^HTTP\/1\.1 40[14] /);
});

test('clients that send their heads slowly do not delay other clients (slowloris)', async (t) => {
  const { url } = await startTestServer(t, { integrations: EMPTY });
  const slow = Array.from({ length: 200 }, () => {
    const socket = connect(Number(new URL(url).port), 'localhost');
    socket.on('error', () => undefined).write('GET /health HTTP/1.1\r\nHost: x\r\nX-');
    return socket;
  });
  assert.equal((await fetch(`${url}/health`)).status, 200);
  for (const socket of slow) socket.destroy();
});

test('a small response that decompresses to a large one is rejected, and others are decompressed', async (t) => {
  const bomb = gzipSync(Buffer.alloc(64_000_000));
  const api = createServer((request, response) => {
    if (request.url === '/bomb') return response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    if (request.url === '/lies') return response.writeHead(200, { 'content-encoding': 'gzip' }).end('plain');
    return response
      .writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' })
      .end(gzipSync('{"a":1}'));
  });
  const apiUrl = `http://localhost:${await listen(t, api)}`;
  const { nango } = await startTestServer(t, {
    integrations: `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${apiUrl}/' }
`,
  });
  await nango.registerConnection('acme', '1', { api_key: 'k' });
  assert.deepEqual((await nango.request('acme', '1', { endpoint: 'fine' })).returnValue.json, { a: 1 });
  await assert.rejects(nango.request('acme', '1', { endpoint: 'bomb' }), { type: 'response_too_large' });
  await assert.rejects(nango.request('acme', '1', { endpoint: 'lies' }), { type: 'request_failed' });
});

test('A5: a list is read in pages, and no page exceeds the maximum size', async (t) => {
  const provider = await startScriptedProvider(t, () => ({ body: {} }));
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${provider.url}/' }
`,
  });
  for (let user = 0; user < 5; user += 1) await server.nango.registerConnection('acme', String(user), { api_key: 'k' });
  const page = async (query: string) => server.api('GET', `/api/connections?${query}`);
  assert.equal((await page('limit=201')).status, 400);
  assert.equal((await page('limit=0')).status, 400);
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const { body } = await page(`limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
    const { connections, nextCursor } = body as { connections: { userId: string }[]; nextCursor: string | null };
    assert.ok(connections.length <= 2);
    seen.push(...connections.map(({ userId }) => userId));
    cursor = nextCursor;
  }
  assert.deepEqual(seen, ['0', '1', '2', '3', '4']);
});

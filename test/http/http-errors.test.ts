import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import Nango from '@nangohq/node-client';
import { listen } from '../support/listen.ts';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';

const KEYED = `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/', headers: { X-Key: '\${api_key}' } }
`;

/** Writes bytes unchanged. Resolves to the whole response. */
async function raw(url: string, text: string): Promise<{ status: number; body: string }> {
  const socket = connect(Number(new URL(url).port), 'localhost');
  socket.on('error', () => undefined);
  socket.write(text);
  let answer = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) answer += chunk.toString();
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), body };
}

const head = (line: string, ...fields: string[]) =>
  [line, 'Host: localhost', `Authorization: Bearer ${SECRET_KEY}`, 'Connection: close', ...fields, '', ''].join('\r\n');

test('A7: errors of the router, the parser and the HTTP server have the usual body', async (t) => {
  const server = await startTestServer(t, { integrations: KEYED });
  for (const [request, status] of [
    [head('GET /% HTTP/1.1'), 400],
    [head('GET /api/%zz HTTP/1.1'), 400],
    [head(`POST /api/actions/${'x'.repeat(201)}/y HTTP/1.1`, 'Content-Length: 0'), 414],
    [head(`GET /oauth/attempts/${'x'.repeat(201)} HTTP/1.1`), 414],
    [head('GET /nothing HTTP/1.1'), 404],
    [head('PATCH /api/connections HTTP/1.1', 'Content-Length: 0'), 404],
    [head('POST /api/connections HTTP/1.1', 'Content-Type: application/xml', 'Content-Length: 1') + 'x', 415],
    [head('POST /api/connections HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 1') + '{', 400],
    [head('POST /api/connections HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 99999999'), 413],
    [head('DELETE /api/connection HTTP/1.1', 'Content-Type: application/xml', 'Content-Length: 1') + 'x', 415],
    [head('GET /api/connections HTTP/1.1', 'Expect: something'), 417],
    [head('GET /proxy/x HTTP/1.1', 'Expect: something'), 417],
    [head(`GET /api/connections HTTP/1.1`, `X-Large: ${'x'.repeat(20_000)}`), 431],
    ['nonsense\r\n\r\n', 400],
    [head('GET /api/connections HTTP/1.1', 'Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
  ] as const) {
    const answer = await raw(server.url, request);
    const name = request.slice(0, 60);
    assert.equal(answer.status, status, name);
    const { error } = JSON.parse(answer.body) as { error: Record<string, unknown> };
    assert.deepEqual(Object.keys(error), ['type', 'message', 'requestId'], name);
    assert.ok(['invalid_request', 'not_found'].includes(String(error['type'])), name);
    assert.doesNotMatch(answer.body, /at \w+ \(|node_modules|\.ts:|FST_/, name);
  }
});

test('bytes that are not HTTP never end up inside a response in flight', async (t) => {
  const api = createServer((_request, response) => void response.writeHead(200).write('first'));
  const port = await listen(t, api);
  const server = await startTestServer(t, {
    integrations: KEYED.replace('https://a.example', `http://localhost:${port}`),
  });
  await server.nango.registerConnection('keyed', '1', { api_key: 'k' });
  const socket = connect(Number(new URL(server.url).port), 'localhost');
  socket.on('error', () => undefined);
  socket.write(head('GET /proxy/x HTTP/1.1', 'Nango-Integration: keyed', 'Nango-User-Id: 1'));
  let received = '';
  let isCut = false;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received += chunk.toString();
    if (received.includes('first') && !isCut) isCut = socket.write('nonsense\r\n\r\n');
  }
  assert.match(received, /^HTTP\/1\.1 200 [\s\S]*first\r\n$/);
});

test('the SDK names the type of every error', async (t) => {
  const server = await startTestServer(t, { integrations: KEYED });
  const nango = new Nango({ serverUrl: server.url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  await assert.rejects(nango.triggerAction('x'.repeat(201), 'y', '1'), { type: 'invalid_request' });
});

test('a DELETE that names JSON as its content type needs no body', async (t) => {
  const server = await startTestServer(t, { integrations: KEYED });
  await server.nango.registerConnection('keyed', '1', { api_key: 'k' });
  const headers = { 'content-type': 'application/json' };
  const { status } = await server.api('DELETE', '/api/connection?integration=keyed&userId=1', undefined, headers);
  assert.equal(status, 204);
  assert.equal((await server.api('POST', '/api/connections', '', headers)).status, 400);
});

test('the server’s address is a page for people, and an error for programs', async (t) => {
  const server = await startTestServer(t, { integrations: KEYED });
  const page = await fetch(server.url, { headers: { accept: 'text/html,application/xhtml+xml' } });
  assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8']);
  assert.match(await page.text(), /<h1>Nango is running<\/h1>/);
  assert.equal((await fetch(server.url)).status, 404);
});

test('an incomplete link on a public server shows users what to do', async (t) => {
  const server = await startTestServer(t, { integrations: KEYED, rootUrl: 'https://nango.example.com' });
  for (const path of ['keyed', 'keyed?user_id=1', 'nothing?user_id=1']) {
    const text = await (await fetch(`${server.url}/oauth/connect/${path}`)).text();
    assert.match(text, /This link is not complete\. Go back to the application/, path);
    assert.doesNotMatch(text, /connect\(|yaml|createConnectSession/, path);
  }
});

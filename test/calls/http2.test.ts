import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:https';
import { test, type TestContext } from 'node:test';
import { listen } from '../support/listen.ts';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const fixture = (name: string) => join(import.meta.dirname, '../fixtures/tls', name);

test('P9: requests use HTTP/1.1 if the API supports only HTTP/1.1 over TLS', async (t) => {
  const seen: string[] = [];
  const api = createTlsServer(
    { key: readFileSync(fixture('server.key')), cert: readFileSync(fixture('server.crt')) },
    (request, response) => {
      seen.push(`${request.httpVersion} ${request.method} ${request.url}`);
      request.pipe(response);
    },
  );
  const { url, headers } = await startWithApi(t, `https://localhost:${await listen(t, api)}`);
  const large = 'x'.repeat(300_000);
  for (const body of ['small', large, large, 'small']) {
    const answer = await fetch(`${url}/proxy/echo`, { method: 'POST', headers, body });
    assert.deepEqual([answer.status, (await answer.text()) === body], [200, true]);
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 4 }, () => '1.1 POST /v1/echo'),
  );
});

test('P9: requests use HTTP/2, with bodies and trailers, if the API offers HTTP/2', async (t) => {
  const seen: string[] = [];
  const api = createSecureServer(
    { key: readFileSync(fixture('server.key')), cert: readFileSync(fixture('server.crt')), allowHTTP1: true },
    (request: Http2ServerRequest, response: Http2ServerResponse) => {
      seen.push(`${request.httpVersion} ${request.method} ${request.url} ${request.headers.authorization}`);
      response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-sum' });
      request.on('data', (chunk: Buffer) => response.write(chunk));
      request.on('end', () => {
        response.addTrailers({ 'x-sum': '42' });
        response.end('.');
      });
    },
  );
  const sessions = new Set<ServerHttp2Session>();
  api.on('session', (session) => sessions.add(session));
  api.listen(0, 'localhost');
  await once(api, 'listening');
  t.after(() => {
    for (const session of sessions) session.destroy();
    api.close();
  });
  const apiUrl = `https://localhost:${(api.address() as AddressInfo).port}`;
  const { url, headers: proxied } = await startWithApi(t, apiUrl);
  const { authorization } = proxied;
  const headers = { authorization, 'content-type': 'application/json' };
  const body = 'x'.repeat(300_000);
  const answer = await fetch(`${url}/proxy/echo?a=1`, { method: 'POST', headers: proxied, body });
  assert.deepEqual([answer.status, await answer.text()], [200, `${body}.`]);
  assert.equal((await fetch(`${url}/proxy/get`, { headers: proxied })).status, 200);
  const request = { integration: 'acme', userId: '1', endpoint: 'sdk' };
  const sent = await fetch(`${url}/api/request`, { method: 'POST', headers, body: JSON.stringify(request) });
  assert.equal(((await sent.json()) as { data: string }).data, '.');
  assert.deepEqual(seen, ['2.0 POST /v1/echo?a=1 Bearer k', '2.0 GET /v1/get Bearer k', '2.0 GET /v1/sdk Bearer k']);
});

/** Starts our server with a connection to an API whose certificate it trusts. */
async function startWithApi(t: TestContext, apiUrl: string) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${apiUrl}/v1/', headers: { Authorization: 'Bearer \${api_key}' } }
`,
  });
  await startServerProcess(t, {
    folder,
    url,
    environment: {
      NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
      NANGO_SECRET_KEY: SECRET_KEY,
      NANGO_DATA_DIR: join(temporaryFolder(t), 'data'),
      NODE_EXTRA_CA_CERTS: fixture('server.crt'),
    },
  });
  const headers = { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/json' };
  const registered = await fetch(`${url}/api/connections`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ integration: 'acme', userId: '1', credentials: { api_key: 'k' } }),
  });
  assert.equal(registered.status, 201);
  return { url, headers: { ...headers, 'nango-integration': 'acme', 'nango-user-id': '1' } };
}

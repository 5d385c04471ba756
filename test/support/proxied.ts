import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { listen } from './listen.ts';
import { SECRET_KEY, startTestServer, type TestServerOptions } from './nango-server.ts';

export type Api = (request: IncomingMessage, response: ServerResponse) => unknown;

export const START = 1_800_000_000_000;

/** An API that the test controls, a connection to it with a refreshable token, and callers of the proxy. */
export async function startProxied(
  t: TestContext,
  api: Api,
  options: Partial<TestServerOptions> & { settings?: string; requests?: string } = {},
) {
  const seen: IncomingMessage[] = [];
  let tokens = 1;
  const upstream = createServer((request, response) => {
    if (request.url === '/token') {
      request.resume();
      return response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ access_token: `at-${(tokens += 1)}`, refresh_token: 'rt', expires_in: 3600 }));
    }
    seen.push(request);
    return api(request, response);
  });
  const apiUrl = `http://localhost:${await listen(t, upstream)}`;
  const clock = { now: START };
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
    oauth_client_id: id
    oauth_client_secret: secret
    oauth_scopes: []
${options.settings ?? ''}
    auth: { auth_mode: OAUTH2, authorization_url: '${apiUrl}/a', token_url: '${apiUrl}/token' }
    requests:
      base_url: ${apiUrl}/v1/
      headers: { Authorization: 'Bearer \${access_token}', X-Constant: constant }
${options.requests ?? ''}
`,
    now: () => clock.now,
    delay: async () => undefined,
    ...options,
  });
  const credentials = { access_token: 'at-1', refresh_token: 'rt', expires_at: START / 1000 + 36_000 };
  await server.nango.registerConnection('acme', 'ä 1', credentials);
  clock.now += 120_000;
  const headers = {
    authorization: `Bearer ${SECRET_KEY}`,
    'nango-integration': 'acme',
    'nango-user-id': encodeURIComponent('ä 1'),
  };
  const call = (path: string, init: RequestInit & { duplex?: 'half' } = {}) =>
    fetch(`${server.url}/proxy/${path}`, {
      redirect: 'manual',
      ...init,
      headers: { ...headers, ...(init.headers as Record<string, string>) },
    });
  /** Writes bytes unchanged, and resolves to what comes back until the server closes. */
  const raw = async (text: string) => {
    const socket = connect(new URL(server.url).port as unknown as number, 'localhost');
    socket.write(text);
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks).toString('latin1');
  };
  const rawHead =
    `Host: x\r\nAuthorization: Bearer ${SECRET_KEY}\r\nNango-Integration: acme\r\n` +
    'Nango-User-Id: %C3%A4%201\r\nConnection: close\r\n';
  return {
    server,
    upstream,
    apiUrl,
    seen,
    call,
    raw,
    rawHead,
    clock,
    tokens: () => tokens,
    url: `${server.url}/proxy/`,
    headers,
  };
}

/** Responds with the request’s own content. */
export const echo: Api = (request, response) => {
  response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'text/plain' });
  request.pipe(response);
};

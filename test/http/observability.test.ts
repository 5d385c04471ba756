import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { freePort } from '../support/free-port.ts';
import { listen } from '../support/listen.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { echo, startProxied } from '../support/proxied.ts';
import { startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('metrics count calls by integration and status, bytes, repetitions and refreshes', async (t) => {
  const { call, server } = await startProxied(t, async (request, response) => {
    const body = (await request.toArray()).join('');
    response.writeHead(request.headers.authorization === 'Bearer at-2' ? 200 : 401).end(body);
  });
  await call('x', { method: 'POST', body: 'four' });
  await fetch(`${server.url}/proxy/x`, {
    headers: { authorization: `Bearer ${SECRET_KEY}`, 'nango-integration': 'made-up', 'nango-user-id': '1' },
  });
  const { status, body, headers } = await server.api('GET', '/metrics');
  assert.equal(status, 200);
  assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const text = String(body);
  for (const line of [
    'nango_api_calls_total{integration="acme",via="proxy",status="200"} 1',
    'nango_api_calls_total{integration="",via="proxy",status="connection_not_found"} 1',
    'nango_api_call_seconds_count{integration="acme",via="proxy"} 1',
    'nango_api_call_bytes_total{integration="acme",via="proxy",direction="sent"} 4',
    'nango_api_call_bytes_total{integration="acme",via="proxy",direction="received"} 4',
    'nango_api_calls_repeated_total{integration="acme",why="renewal"} 1',
    'nango_token_renewals_total{integration="acme",outcome="renewed"} 1',
    'nango_api_calls_under_way 0',
  ])
    assert.ok(text.includes(line), line);
  assert.match(text, /process_resident_memory_bytes \d/);
  assert.doesNotMatch(text, /ä 1|made-up|at-2/);
  assert.equal((await fetch(`${server.url}/metrics`)).status, 401);
});

test('every call leaves one log line, with the caller and the user, and without secrets', async (t) => {
  const { call, server } = await startProxied(t, echo);
  await call('users?secret=in-the-url', { method: 'POST', body: 'abc' });
  const lines = server
    .log()
    .split('\n')
    .filter((line) => line.includes('"api call"'));
  assert.equal(lines.length, 1);
  const {
    requestId,
    ms,
    firstByteMs,
    connection,
    time: _,
    ...line
  } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.deepEqual(line, {
    level: 'info',
    integration: 'acme',
    userId: 'ä 1',
    via: 'proxy',
    caller: 'main',
    method: 'POST',
    status: 200,
    sentBytes: 3,
    receivedBytes: 3,
    msg: 'api call',
  });
  assert.ok([ms, firstByteMs].every(Number.isInteger));
  assert.match(`${String(requestId)} ${String(connection)}`, /^[0-9a-f-]{36} [0-9a-f-]{36}$/);
  assert.doesNotMatch(server.log(), /in-the-url|at-1/);
});

test('the audit log records who changed which connection, in a separate file if one is configured', async (t) => {
  const { server } = await startProxied(t, echo, { config: 'audit_log_file: audit.log\nlog_user_ids: hashed\n' });
  await server.nango.getConnection('acme', 'ä 1');
  await server.nango.deleteConnection('acme', 'ä 1');
  await assert.rejects(server.nango.deleteConnection('acme', 'ä 1'));
  await server.api('DELETE', '/api/connection?integration=acme&userId=x', undefined, { authorization: 'Bearer wrong' });
  const path = join(server.folder, 'audit.log');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const entries = readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    entries.map(({ action, actor, integration, status }) => [action, actor, integration, status]),
    [
      ['connection.register', 'main', 'acme', 201],
      ['credentials.read', 'main', 'acme', 200],
      ['connection.delete', 'main', 'acme', 204],
      ['connection.delete', 'main', 'acme', 404],
      ['connection.delete', undefined, 'acme', 401],
    ],
  );
  const [first, second, , , last] = entries.map(({ userId }) => userId);
  assert.match(String(first), /^[0-9a-f]{16}$/);
  assert.equal(first, second);
  assert.notEqual(first, last);
  assert.doesNotMatch(readFileSync(path, 'utf8') + server.log(), /ä 1|at-1/);
});

const spanSchema = z.object({
  name: z.string(),
  kind: z.number(),
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
});
const exportSchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(z.object({ key: z.string(), value: z.unknown() })) }),
      scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })),
    }),
  ),
});

test('traces go to an OpenTelemetry collector, from the caller’s span through ours to the API’s', async (t) => {
  const received: string[] = [];
  const collector = createServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      received.push(Buffer.concat(chunks).toString());
      return response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  const seen: (string | undefined)[] = [];
  const api = createServer((request, response) => {
    seen.push(String(request.headers['traceparent']));
    response.end('ok');
  });
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const apiUrl = `http://localhost:${await listen(t, api)}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${apiUrl}/', headers: { X-Key: '\${api_key}' } }
`,
  });
  const process = await startServerProcess(t, {
    folder,
    url,
    environment: {
      NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
      NANGO_SECRET_KEY: SECRET_KEY,
      NANGO_DATA_DIR: join(temporaryFolder(t), 'data'),
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${await listen(t, collector)}`,
      OTEL_SERVICE_NAME: 'my-nango',
    },
  });
  const headers = { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ integration: 'acme', userId: '1', credentials: { api_key: 'CANARY' } });
  await fetch(`${url}/api/connections`, { method: 'POST', headers, body });
  const trace = '0af7651916cd43dd8448eb211c80319c';
  const parent = 'b7ad6b7169203331';
  await fetch(`${url}/proxy/items?key=CANARY`, {
    headers: {
      ...headers,
      'nango-integration': 'acme',
      'nango-user-id': '1',
      traceparent: `00-${trace}-${parent}-01`,
    },
  });
  assert.equal(await process.stop(), 0, process.output());
  const exported = received.map((text) => exportSchema.parse(JSON.parse(text)));
  const spans = exported.flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
  );
  const ours = spans.find(({ parentSpanId }) => parentSpanId === parent) ?? assert.fail();
  const outgoing = spans.find(({ parentSpanId }) => parentSpanId === ours.spanId) ?? assert.fail();
  assert.deepEqual([ours.name, ours.kind, ours.traceId], ['GET /proxy/*', 2, trace]);
  assert.deepEqual([outgoing.name, outgoing.kind, outgoing.traceId], ['GET localhost', 3, trace]);
  assert.deepEqual(seen, [`00-${trace}-${outgoing.spanId}-01`]);
  assert.ok(spans.some(({ name }) => name === 'POST /api/connections'));
  assert.match(received.join(), /"service\.name".{1,40}my-nango/);
  assert.doesNotMatch(received.join(), /CANARY|test-secret-key/);
});

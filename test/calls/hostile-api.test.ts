import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { ERRORS } from '../../packages/server/src/errors/registry.ts';
import { OPERATIONS, type Operation } from '../support/api-operations.ts';
import { SECRET_KEY, startTestServer, type TestServer } from '../support/nango-server.ts';
import { startPostgres } from '../support/postgres.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';

/** The values of a request that is not hostile. Routes ignore members that they do not know. */
const USUAL: Readonly<Record<string, unknown>> = {
  integration: 'keyed',
  userId: '1',
  user_id: '1',
  action: 'none',
  attempt: 'none',
  name: 'none',
  endpoint: 'x',
  webhook: 'hook',
  eventId: 'none',
  credentials: { api_key: 'k' },
  additionalConfig: {},
};

const cursor = (...place: unknown[]) => Buffer.from(JSON.stringify(place)).toString('base64url');
const STATEMENT = `'; drop table connections; --`;
const TEXTS = [
  STATEMENT,
  `' or '1'='1`,
  `%`,
  `"\\"`,
  'a\0b',
  '\u2028\u202e\x1b[2J',
  '..',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  '-1',
  '1e308',
  '9007199254740993',
  'x'.repeat(4_900),
  '<img src=x onerror=alert(1)>',
  '${access_token}',
];
const CURSORS = [
  cursor('a\0b', 'c'),
  cursor('a', '\0'),
  cursor('\ud800', '\ud800'),
  cursor(STATEMENT, STATEMENT),
  cursor(1, 'a\0b'),
  cursor(1, '\ud800'),
  cursor(1e308),
  cursor(Number.MAX_SAFE_INTEGER),
  cursor(Number.MAX_SAFE_INTEGER, STATEMENT),
  cursor(-1),
  cursor({ $gt: '' }, null),
  cursor(),
  Buffer.from('{"__proto__":[]}').toString('base64url'),
];
const VALUES: readonly unknown[] = [
  ...TEXTS,
  '\ud800',
  null,
  true,
  -1,
  1e308,
  Number.MAX_SAFE_INTEGER,
  [],
  ['a', 'b'],
  {},
  { $gt: '' },
  JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}'),
];
const BODIES = ['', '{', 'null', '[]', '"x"', '1e999', '{"a":1,"a":2}', '\ufeff{}', '{"__proto__":{}}', '\0'];

interface HostileRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function* hostileRequests({ method, path, parameters, members }: Operation): Generator<HostileRequest> {
  const at = (values: Readonly<Record<string, unknown>>) => {
    const given = { ...USUAL, ...values };
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(given[name])));
    const query = new URLSearchParams();
    for (const { name, in: where } of parameters)
      if (where === 'query' && (name in values || ['integration', 'userId'].includes(name)))
        query.set(name, String(given[name]));
    return `${filled}?${query.toString()}`;
  };
  const usual = JSON.stringify(USUAL);
  const body = members ? { body: usual } : {};
  for (const { name } of parameters)
    for (const value of [...TEXTS, ...CURSORS]) yield { method, path: at({ [name]: value }), ...body };
  // Parameters that the document does not name, and parameters that come twice.
  for (const query of ['state=%00&code=%00', 'user_id=%00', 'userId=1&userId=2', 'limit[]=1', '%', '__proto__=x'])
    yield { method, path: `${at({})}&${query}`, ...body };
  if (!members) return;
  for (const name of members)
    for (const value of VALUES) yield { method, path: at({}), body: JSON.stringify({ ...USUAL, [name]: value }) };
  for (const text of BODIES) yield { method, path: at({}), body: text };
  for (const contentType of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'x', ''])
    yield { method, path: at({}), body: usual, contentType };
}

function* hostileProxyRequests(): Generator<HostileRequest> {
  const usual = { 'nango-integration': 'keyed', 'nango-user-id': '1' };
  for (const name of [...Object.keys(usual), 'nango-retries', 'nango-retry-any-method', 'nango-request-id'])
    for (const value of TEXTS.map(encodeURIComponent))
      yield { method: 'GET', path: '/proxy/x', headers: { ...usual, [name]: value } };
  for (const value of TEXTS)
    yield { method: 'GET', path: `/proxy/${encodeURIComponent(value)}?${encodeURIComponent(value)}`, headers: usual };
}

const errorSchema = z.strictObject({
  error: z.strictObject({ type: z.enum(Object.keys(ERRORS)), message: z.string().min(1), requestId: z.string() }),
});
const INTERNALS = /\bat [\w.<>]+ \(|node_modules|\.ts:\d|\bSQLITE_|SqliteError|syntax error|invalid byte|FST_|Zod/;

/** Why a caller should not get the response to a hostile request. Undefined if the response is fine. */
async function faultOf(server: TestServer, { method, path, body, contentType, headers }: HostileRequest) {
  const response = await fetch(server.url + path, {
    method,
    headers: {
      ...headers,
      authorization: `Bearer ${SECRET_KEY}`,
      ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
    redirect: 'manual',
  });
  const answer = await response.text();
  const request = `${method} ${path.slice(0, 150)} ${body?.slice(0, 300) ?? ''}`;
  const name = `${request}: ${response.status} ${answer.slice(0, 300)}`;
  if (response.status >= 500) return name;
  if (response.status < 400) return undefined;
  if (INTERNALS.test(answer)) return `internals: ${name}`;
  if (response.headers.get('content-type')?.startsWith('text/html')) return undefined;
  const parsed = errorSchema.safeParse(JSON.parse(answer));
  if (parsed.data?.error.requestId === response.headers.get('nango-request-id')) return undefined;
  return `shape: ${name}`;
}

for (const database of ['SQLite', 'PostgreSQL'])
  test(`A7, S7: every route rejects hostile input in the usual shape without effect (${database})`, async (t) => {
    const api = await startScriptedProvider(t, () => ({ body: { items: [] } }));
    const databaseUrl = database === 'SQLite' ? undefined : await (await startPostgres(t)).createDatabase();
    const server = await startTestServer(t, {
      integrations: `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${api.url}/', headers: { X-Key: '\${api_key}' } }
`,
      config: `webhooks:\n  hook: { url: '${api.url}/hook', secret: 'whsec_${Buffer.alloc(32).toString('base64')}' }\n`,
      databaseUrl,
    });
    await server.nango.registerConnection('keyed', 'witness', { api_key: 'of the witness' });
    const faults: string[] = [];
    const requests = [...OPERATIONS.flatMap((operation) => [...hostileRequests(operation)]), ...hostileProxyRequests()];
    assert.ok(requests.length > 1_000);
    for (const request of requests) {
      const fault = await faultOf(server, request);
      if (fault !== undefined) faults.push(fault);
    }
    assert.deepEqual(faults, []);
    assert.equal(({} as { x?: number }).x, undefined);
    const { returnValue: witness } = await server.nango.getConnection('keyed', 'witness');
    assert.equal(witness.credentials.api_key, 'of the witness');
  });

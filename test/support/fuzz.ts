import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { AUTH_MODES } from '../../packages/server/src/auth-modes/registry.ts';
import {
  authorizeRequest,
  endpointOf,
  type AuthorizedRequest,
} from '../../packages/server/src/calls/authorize-request.ts';
import { NangoError } from '../../packages/server/src/errors/nango-error.ts';
import { resolveReference, targetOf, targetUrl } from '../../packages/server/src/formats/request-target.ts';
import { requestHeaders, responseHeaders } from '../../packages/server/src/http/proxy/proxy-headers.ts';
import { splitTemplate } from '../../packages/server/src/schema/template.ts';
import { integrationOf, template } from './integration.ts';

const ORIGIN = 'https://api.example';
const TOKEN = 'secret-TOKEN';
// Inputs are made from these texts, which break parsers.
const PIECES = [
  '..',
  '.',
  '/',
  '//',
  '\\',
  '%2e',
  '%2E%2e',
  '%2f',
  '%5c',
  '%252e',
  '%25',
  '%',
  ';',
  '?',
  '#',
  '@',
  ':',
  '&',
  '=',
  '\r\n',
  '\n',
  '\r',
  '\0',
  '\t',
  ' ',
  '\u0085',
  '\u2028',
  'ä',
  '😀',
  '\ud800',
  '\u0130',
  'ａ',
  '。',
  '\u200b',
  'https://evil.example',
  'javascript:',
  'evil.example',
  '127.0.0.1',
  '[::1]',
  '0x7f.1',
  'user:pass@',
  'users',
  'a',
  'Host',
  'authorization',
  'connection',
  'Content-Length',
  '__proto__',
  'constructor',
  'key',
  '0',
  '1',
  '${access_token}',
  '${',
  '}',
  '$',
  '${config.x}',
  '${raw.a}',
  'chunked',
  'close',
  ',',
  '"',
  "'",
  '<',
  '>',
];

/** Pseudorandom numbers that are the same for a seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface FuzzResult {
  readonly inputs: number;
  /** The number of inputs that were rejected with an error of ours. */
  readonly refused: number;
}

/**
 * Sends hostile inputs to the code that joins URLs, sets headers, renders templates and reads responses.
 * Throws with the seed and the input if an input crashes, escapes or splits something.
 */
export function fuzz({
  seed,
  inputs,
  onProgress,
}: {
  seed: number;
  inputs: number;
  onProgress?: (done: number) => void;
}): FuzzResult {
  const random = randomNumbers(seed);
  const below = (count: number) => Math.floor(random() * count);
  const text = () => Array.from({ length: below(7) }, () => PIECES[below(PIECES.length)] ?? '').join('');
  const targets = [fuzzEndpoint, fuzzRedirect, fuzzHeaders, fuzzPlaceholders, fuzzProxyHeaders];
  let refused = 0;
  for (let count = 0; count < inputs; count += 1) {
    const given = [text(), text(), text()] as const;
    const target = targets[count % targets.length] ?? fuzzEndpoint;
    try {
      target(given);
    } catch (error) {
      if (error instanceof NangoError) refused += 1;
      else throw new Error(`Seed ${seed}, input ${count}, ${target.name}: ${JSON.stringify(given)}`, { cause: error });
    }
    if (onProgress && count % 10_000 === 0) onProgress(count);
  }
  return { inputs, refused };
}

type Given = readonly [string, string, string];

const mode = AUTH_MODES.get('OAUTH2') ?? assert.fail();
const context = { now: () => 0, randomToken: () => 'nonce' };

function authorizationOf(base = `${ORIGIN}/v1/`, params: Record<string, string> = {}) {
  const integration = integrationOf(
    mode,
    { token_url: 'https://acme.example/token', authorization_url: 'https://acme.example/a' },
    {
      requests: {
        rateLimit: undefined,
        redirectOrigins: ['https://files.example'],
        pagination: undefined,
        baseUrl: template(base),
        headers: new Map([
          ['Authorization', template('Bearer ${access_token}')],
          ['X-Constant', template('constant')],
        ]),
        params: new Map(Object.entries(params).map(([name, value]) => [name, template(value)])),
      },
    },
  );
  const credentials = mode.storedCredentials.parse({ access_token: TOKEN, raw: {} });
  return { integration, mode, credentials, config: {} };
}

const PLAIN = authorizationOf();
const KEYED = authorizationOf(`${ORIGIN}/v1/`, { key: '${access_token}', format: 'json' });
const IN_PATH = authorizationOf(`${ORIGIN}/v1/\${config.x}/`, { q: '${config.y}' });
const IN_HOST = authorizationOf('https://${config.x}.api.example/');

function assertInside({ target, headers }: AuthorizedRequest, root = '/v1/'): URL {
  const url = targetUrl(target);
  // oxlint-disable-next-line no-control-regex -- the test looks for these characters
  assert.doesNotMatch(url, /[\0-\x20\x7f-\uffff\\]/);
  const parsed = new URL(url);
  assert.equal(parsed.origin, ORIGIN);
  // A parser must read the intended path.
  assert.equal(url.split('?')[0], parsed.origin + parsed.pathname);
  assert.ok(`${parsed.pathname}/`.startsWith(root), url);
  let decoded = parsed.pathname;
  for (let times = 0; times < 2; times += 1) {
    decoded = decoded.replace(/%25/gi, '%').replace(/%2e/gi, '.').replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
    assert.doesNotMatch(decoded, /(^|[/\\])\.{1,2}([/\\;]|$)/);
  }
  for (const [name, value] of Object.entries(headers)) {
    assert.match(name, /^[!#$%&'*+.^_`|~0-9a-z-]+$/);
    assert.match(value, /^[\t\x20-\x7e\x80-\xff]*$/);
  }
  assert.equal(headers['authorization'], `Bearer ${TOKEN}`);
  return parsed;
}

function fuzzEndpoint([endpoint, name, value]: Given): void {
  const params = name === '' ? undefined : { [name]: value };
  assertInside(authorizeRequest({ method: 'GET', endpoint, params }, PLAIN, context));
  const keyed = assertInside(authorizeRequest({ method: 'GET', endpoint, params }, KEYED, context));
  assert.deepEqual(keyed.searchParams.getAll('key'), [TOKEN]);
}

function fuzzRedirect([location, , next]: Given): void {
  const from = { origin: ORIGIN, path: '/v1/x', query: '' };
  const url = resolveReference(location, from);
  if (url && /^https?:$/.test(url.protocol)) {
    const redirect = { method: 'GET', target: targetOf(url), keepsBody: false };
    const call = { method: 'GET', endpoint: '', headers: { cookie: 'a' }, redirect };
    const { target, headers } = authorizeRequest(call, KEYED, context);
    if (target.origin !== ORIGIN) {
      assert.deepEqual(headers, {});
      assert.ok(!targetUrl(target).includes(TOKEN));
    }
  }
  const endpoint = endpointOf(next, from, PLAIN);
  assertInside(authorizeRequest({ method: 'GET', endpoint }, PLAIN, context));
}

function fuzzHeaders([name, value, other]: Given): void {
  const headers = { [name]: value, Authorization: other, 'x-constant': 'mine' };
  const request = authorizeRequest({ method: 'GET', endpoint: 'x', headers }, PLAIN, context);
  assertInside(request);
  for (const framing of ['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade'])
    assert.equal(request.headers[framing], undefined);
}

function fuzzPlaceholders([value, other, written]: Given): void {
  const parts = splitTemplate(written);
  if (typeof parts !== 'string') {
    const back = parts.map((part) => (typeof part === 'string' ? part : `\${${part.placeholder}}`)).join('');
    assert.equal(back, written);
  }
  const authorization = { ...IN_PATH, config: { x: value, y: other } };
  const { target } = authorizeRequest({ method: 'GET', endpoint: 'end' }, authorization, context);
  const parsed = new URL(targetUrl(target));
  assert.equal(parsed.origin, ORIGIN);
  assert.equal(parsed.pathname.split('/').length, 4);
  assert.deepEqual([...parsed.searchParams], [['q', other]]);
  const host = { ...IN_HOST, config: { x: value } };
  const hosted = new URL(targetUrl(authorizeRequest({ method: 'GET', endpoint: 'end' }, host, context).target));
  assert.ok(hosted.hostname.endsWith('.api.example') && hosted.pathname === '/end' && hosted.username === '');
}

function fuzzProxyHeaders([name, value, connection]: Given): void {
  const lower = name.toLowerCase();
  const headers = {
    connection,
    authorization: 'ours',
    'nango-user-id': 'ours',
    'transfer-encoding': 'chunked',
    [lower]: value,
  };
  const passed = requestHeaders({ headers } as unknown as IncomingMessage);
  for (const gone of ['connection', 'authorization', 'nango-user-id', 'transfer-encoding', 'host'])
    assert.equal(passed[gone], undefined);
  const flat = responseHeaders({
    connection,
    'set-cookie': ['a'],
    'access-control-allow-origin': '*',
    [lower]: value,
  });
  const answered = Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]]] : [])));
  for (const gone of ['connection', 'set-cookie', 'access-control-allow-origin', 'strict-transport-security'])
    assert.equal(answered[gone], undefined);
  assert.equal(answered['content-security-policy'], "default-src 'none'; sandbox");
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integrationOf, template } from '../../../../test/support/integration.ts';
import type { AuthMode, JsonObject } from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { targetUrl } from '../formats/request-target.ts';
import { authorizeRequest, type NextRequest } from './authorize-request.ts';

interface Setup {
  readonly base?: string;
  readonly headers?: Record<string, string>;
  readonly params?: Record<string, string>;
  readonly raw?: JsonObject;
  readonly config?: JsonObject;
  readonly accessToken?: string;
  readonly allowHttp?: boolean;
}

function authorize(
  request: Partial<NextRequest>,
  {
    base = 'https://api.acme.com/v1/',
    headers = { Authorization: 'Bearer ${access_token}' },
    params = {},
    raw = {},
    config = {},
    accessToken = 'token-1',
    allowHttp = false,
  }: Setup = {},
) {
  const mode: AuthMode | undefined = AUTH_MODES.get('OAUTH2');
  assert.ok(mode);
  const requests = {
    rateLimit: undefined,
    redirectOrigins: [],
    pagination: undefined,
    baseUrl: template(base),
    headers: new Map(Object.entries(headers).map(([name, text]) => [name, template(text)])),
    params: new Map(Object.entries(params).map(([name, text]) => [name, template(text)])),
  };
  const integration = integrationOf(
    mode,
    { token_url: 'https://acme.com/token', authorization_url: 'https://acme.com/a' },
    { allowHttp, requests },
  );
  const credentials = mode.storedCredentials.parse({ access_token: accessToken, raw });
  const authorized = authorizeRequest(
    { method: 'GET', endpoint: 'users/me', ...request },
    { integration, mode, credentials, config },
    { now: () => 0, randomToken: () => 'nonce' },
  );
  return { ...authorized, url: targetUrl(authorized.target) };
}

test('joins the endpoint to the base_url, with or without slashes', () => {
  for (const base of ['https://api.acme.com/v1', 'https://api.acme.com/v1/']) {
    assert.equal(authorize({ endpoint: 'users/me' }, { base }).url, 'https://api.acme.com/v1/users/me');
    assert.equal(authorize({ endpoint: '/users/me' }, { base }).url, 'https://api.acme.com/v1/users/me');
  }
  assert.equal(authorize({ endpoint: '' }, { base: 'https://api.acme.com/v1' }).url, 'https://api.acme.com/v1');
  assert.equal(
    authorize({ endpoint: 'a:batch?x=1&y=%20' }, { params: { v: '2' } }).url,
    'https://api.acme.com/v1/a:batch?x=1&y=%20&v=2',
  );
});

test('renders every placeholder of the guide', () => {
  const headers = {
    A: '${access_token}',
    B: '${oauth_client_id}:${oauth_client_secret}',
    C: '${app_api_key}',
    D: '${raw.user.name}',
    E: '${config.region}',
  };
  const authorized = authorize({}, { headers, raw: { user: { name: 'ada' } }, config: { region: 'eu' } });
  assert.deepEqual(authorized.headers, { a: 'token-1', b: 'client-1:secret-1', c: 'app-key', d: 'ada', e: 'eu' });
});

test('P1: an endpoint never leaves the base path or chooses the host', () => {
  const hostile = [
    '..',
    '../x',
    'a/../../x',
    './x',
    '%2e%2e/x',
    '%2E%2e%2fx',
    'a/%2e%2e/%2e%2e/x',
    '.%2e/x',
    '%252e%252e%252fx',
    'a;x%5c..%5c..%5cy',
    '..;/x',
    '..%3b/x',
    'a/..%3Bjsession/..%253b/x',
    '%2e%2e%3b/x',
    'a/..;b/x',
    '..\\x',
    '\\\\evil.com',
    'a\\..\\b',
    '//evil.com',
    '///evil.com',
    'https://evil.com',
    'HTTP://evil.com',
    'x\ty',
    'x\ny',
    'x y',
    ' //evil.com',
    '#x',
    'a#b',
    'a\u0000b',
    '\uD800',
    '%5c..%5cx',
    '..%5cx',
    'a/..',
    'a/.',
  ];
  for (const endpoint of hostile)
    assert.throws(() => authorize({ endpoint }), { code: 'invalid_endpoint' }, JSON.stringify(endpoint));
});

test('P1: odd endpoints that stay inside are sent as they are', () => {
  for (const endpoint of [
    '@evil.com',
    ':80/x',
    '?x=//evil.com',
    ';x',
    '%2f%2fevil.com',
    '...',
    'a..b',
    'xn--80ak6aa92e.com',
    '/@evil',
    'a?u=https://evil.com/../x',
  ]) {
    const url = new URL(authorize({ endpoint }).url);
    assert.equal(url.origin, 'https://api.acme.com', endpoint);
    assert.ok(url.pathname === '/v1/' || url.pathname.startsWith('/v1/'), url.pathname);
  }
});

test('P4: a caller can neither replace nor remove an injected credential, and overrides constants', () => {
  const setup = {
    headers: { Authorization: 'Bearer ${access_token}', 'User-Agent': 'Nango' },
    params: { key: '${app_api_key}', v: '1' },
  };
  const authorized = authorize(
    { headers: { AUTHORIZATION: 'Bearer evil', 'user-agent': 'mine' }, params: { key: 'evil', v: '2' } },
    setup,
  );
  assert.deepEqual(authorized.headers, { authorization: 'Bearer token-1', 'user-agent': 'mine' });
  assert.deepEqual(
    [...new URL(authorized.url).searchParams],
    [
      ['key', 'app-key'],
      ['v', '2'],
    ],
  );
  assert.throws(() => authorize({ endpoint: 'x?key=evil' }, setup), { code: 'invalid_request' });
});

test('P4: headers that frame the message are rejected', () => {
  for (const name of ['Host', 'Content-Length', 'Transfer-Encoding', 'connection', 'TE', 'Upgrade'])
    assert.throws(() => authorize({ headers: { [name]: 'x' } }), { code: 'invalid_value' }, name);
});

test('P6: values with CR, LF, NUL or beyond Latin-1 never reach a header', () => {
  for (const value of ['a\r\nX-Evil: 1', 'a\nb', 'a\0', 'a\u2028', '日本', '\uD800']) {
    assert.throws(() => authorize({ headers: { 'X-A': value } }), { code: 'invalid_value' });
    assert.throws(() => authorize({}, { headers: { A: 'x ${config.v}' }, config: { v: value } }), {
      code: 'invalid_value',
    });
  }
  for (const name of ['a b', 'a:b', 'a\r\nb', '', 'ä'])
    assert.throws(() => authorize({ headers: { [name]: 'x' } }), { code: 'invalid_value' });
});

test('P6: the error does not repeat the value', () => {
  assert.throws(
    () => authorize({}, { accessToken: 'CANARY\n' }),
    (error: Error) => !error.message.includes('CANARY'),
  );
});

test('P6: values with & and # stay in their query parameter', () => {
  const url = authorize(
    { params: { b: 'x&c=1#y', list: [1, 'a b'], gone: null } },
    { params: { a: '${config.v}' }, config: { v: '1&admin=true#' } },
  ).url;
  assert.equal(new URL(url).search, '?a=1%26admin%3Dtrue%23&b=x%26c%3D1%23y&list=1&list=a%20b');
});

test('P7: a value that looks like a placeholder is not expanded again', () => {
  const { headers } = authorize(
    {},
    { headers: { A: '${raw.x}' }, raw: { x: '${access_token} ${oauth_client_secret}' } },
  );
  assert.equal(headers['a'], '${access_token} ${oauth_client_secret}');
});

test('C3: names from the prototype have no values', () => {
  for (const placeholder of ['raw.constructor.name', 'raw.__proto__.x', 'config.toString'])
    assert.throws(() => authorize({}, { headers: { A: `\${${placeholder}}` } }), { code: 'invalid_value' });
});

test('an apostrophe in a parameter is sent as URL parsers write it, so that signatures cover what is sent', () => {
  const { target, url } = authorize({ params: { q: "it's" } });
  assert.equal(target.query, 'q=it%27s');
  assert.equal(new URL(url).search, `?${target.query}`);
});

test('C4: a base_url from the token response must be https', () => {
  const setup = { base: '${raw.instance_url}/data/', raw: { instance_url: 'http://na1.acme.com' } };
  assert.throws(() => authorize({}, setup), { code: 'invalid_value' });
  assert.equal(authorize({}, { ...setup, allowHttp: true }).url, 'http://na1.acme.com/data/users/me');
  assert.equal(
    authorize({}, { ...setup, raw: { instance_url: 'https://na1.acme.com' } }).url,
    'https://na1.acme.com/data/users/me',
  );
});

test('a string body is sent as it is, an object as JSON', () => {
  assert.deepEqual(authorize({ method: 'POST', body: 'a=b' }).body, 'a=b');
  const { body, headers } = authorize({ method: 'POST', body: { a: [1] } });
  assert.equal(body, '{"a":[1]}');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(
    authorize({ method: 'POST', body: {}, headers: { 'Content-Type': 'application/vnd.x+json' } }).headers[
      'content-type'
    ],
    'application/vnd.x+json',
  );
});

const KEYED: Setup = { params: { key: '${access_token}' } };
const POSTED = { method: 'POST', endpoint: 'a', params: { b: '1' }, headers: { 'x-own': '1' }, body: 'text' };

test('a call begins with the caller’s own request', () => {
  assert.deepEqual(authorize(POSTED, KEYED), {
    method: 'POST',
    target: { origin: 'https://api.acme.com', path: '/v1/a', query: 'key=token-1&b=1' },
    url: 'https://api.acme.com/v1/a?key=token-1&b=1',
    apiOrigin: 'https://api.acme.com',
    headers: { authorization: 'Bearer token-1', 'x-own': '1' },
    body: 'text',
  });
});

test('a redirect within the API carries new credentials instead of those that the API repeats', () => {
  const redirected = { origin: 'https://api.acme.com', path: '/b', query: 'key=old&c=2' };
  const redirect = { method: 'POST', target: redirected, keepsBody: true };
  const { target, headers, body } = authorize({ ...POSTED, redirect }, KEYED);
  assert.deepEqual(target, { ...redirected, query: 'c=2&key=token-1' });
  assert.equal(headers['authorization'], 'Bearer token-1');
  assert.equal(body, 'text');
});

test('a redirect to another origin carries no credentials, and no body if it became a GET', () => {
  const target = { origin: 'https://files.acme.com', path: '/b', query: 'c=2' };
  const redirect = { method: 'GET', target, keepsBody: false };
  assert.deepEqual(authorize({ ...POSTED, redirect }, KEYED), {
    method: 'GET',
    target,
    url: 'https://files.acme.com/b?c=2',
    apiOrigin: 'https://api.acme.com',
    headers: {},
    body: undefined,
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { integrationOf, template } from '../../../../test/support/integration.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { NangoError } from '../errors/nango-error.ts';
import { targetUrl } from '../formats/request-target.ts';
import { authorizeRequest, type AuthorizedRequest } from './authorize-request.ts';
import { secret } from '../../../../test/support/secrets.ts';

// Values that a user, a provider or a caller may send.
const HOSTILE: Readonly<Record<string, string>> = {
  'CR LF and a header': 'x\r\nX-Evil: 1',
  'a bare LF': 'x\nX-Evil: 1',
  'a bare CR': 'x\rX-Evil: 1',
  NUL: 'x\0y',
  'other control characters': 'x\u0007\u001b[2Jy',
  DEL: 'x\u007fy',
  'an ampersand': 'x&admin=true',
  'a hash': 'x#fragment',
  'a question mark': 'x?y=z',
  'a slash': 'x/y',
  'dot segments': '../../admin',
  'one dot segment': '..',
  'encoded dot segments': '%2e%2e/%2e%2e',
  'twice encoded dot segments': '%252e%252e%252f',
  backslashes: '..\\..\\admin',
  'another host': '@evil.example',
  'an absolute URL': 'https://evil.example/',
  'a protocol-relative URL': '//evil.example/',
  'a placeholder': '${access_token}',
  'a placeholder of the environment': '${PATH}',
  'a lone high surrogate': 'x\ud800y',
  'a lone low surrogate': 'x\udc00y',
  'a line separator': 'x\u2028y',
  'text outside Latin-1': '日本語',
  'an IDN trick': 'ｅｖｉｌ.example',
  emoji: '👩‍💻',
  '100 kB': 'x'.repeat(100_000),
  empty: '',
  spaces: '  ',
  'a name of the prototype': '__proto__',
  'another name of the prototype': 'constructor',
  percent: '100%',
  plus: 'a+b',
  quotes: `"'<>`,
};

const integration = integrationOf(AUTH_MODES.get('OAUTH2') ?? assert.fail(), { token_url: 'https://a.example/t' });
const mode = AUTH_MODES.get('OAUTH2') ?? assert.fail();

/** Authorizes a request whose credentials, config and raw response all hold the value; undefined = rejected. */
function authorize(
  value: string,
  { base = 'https://api.example/v1/', headers = {}, params = {} }: { base?: string; headers?: object; params?: object },
): AuthorizedRequest | undefined {
  const templates = (given: object) =>
    new Map(Object.entries(given).map(([name, text]) => [name, template(String(text))] as const));
  const unset = { rateLimit: undefined, redirectOrigins: [], pagination: undefined };
  const requests = { ...unset, baseUrl: template(base), headers: templates(headers), params: templates(params) };
  const credentials = { access_token: secret(value), raw: secret({ nested: { value } }) };
  const context = { now: () => 0, randomToken: () => 'nonce' };
  try {
    return authorizeRequest(
      { method: 'GET', endpoint: 'users/me', headers: { 'x-own': '1' } },
      { integration: { ...integration, requests }, mode, credentials, config: { value } },
      context,
    );
  } catch (error) {
    assert.ok(error instanceof NangoError && error.code === 'invalid_value', String(error));
    assert.ok(
      value.length < 8 || value.startsWith('${') || !error.message.includes(value),
      'the refusal quotes the value',
    );
    return undefined;
  }
}

const SOURCES = ['access_token', 'raw.nested.value', 'config.value'];

for (const [name, value] of Object.entries(HOSTILE)) {
  describe(`P6, P7: ${name}`, () => {
    for (const source of SOURCES) {
      test(`in a header, from ${source}: the whole value of that header, or rejected`, () => {
        const request = authorize(value, { headers: { 'X-Value': `a \${${source}} b` } });
        const carried = /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
        assert.equal(request !== undefined, carried);
        if (!request) return;
        assert.deepEqual(request.headers, { 'x-own': '1', 'x-value': `a ${value} b` });
        assert.equal(targetUrl(request.target), 'https://api.example/v1/users/me');
      });

      test(`in a parameter, from ${source}: the whole value of that parameter, or rejected`, () => {
        const request = authorize(value, { params: { q: `a\${${source}}b`, last: '1' } });
        assert.equal(request !== undefined, value.isWellFormed());
        if (!request) return;
        const url = new URL(targetUrl(request.target));
        assert.deepEqual(
          [...url.searchParams],
          [
            ['q', `a${value}b`],
            ['last', '1'],
          ],
        );
        assert.equal(url.origin + url.pathname + url.hash, 'https://api.example/v1/users/me');
      });

      test(`in the path of base_url, from ${source}: one segment of it, or rejected`, () => {
        const request = authorize(value, { base: `https://api.example/v1/\${${source}}/end` });
        if (!request) return;
        const url = new URL(targetUrl(request.target));
        assert.equal(url.origin, 'https://api.example');
        const [, v1, segment = '', ...rest] = url.pathname.split('/');
        assert.deepEqual([v1, ...rest, url.search, url.hash], ['v1', 'end', 'users', 'me', '', '']);
        assert.equal(decodeURIComponent(segment), value);
      });

      test(`in the host of base_url, from ${source}: a label of it, or rejected`, () => {
        const request = authorize(value, { base: `https://\${${source}}.api.example/v1/` });
        if (!request) return;
        const url = new URL(targetUrl(request.target));
        assert.ok(url.hostname.endsWith('.api.example'), url.hostname);
        assert.equal(url.pathname + url.search + url.username + url.port, '/v1/users/me');
      });
    }
  });
}

test('C3: names of the prototype have no value', () => {
  const request = (placeholder: string) => authorize('x', { headers: { 'X-Value': `\${${placeholder}}` } });
  for (const path of [
    'raw.constructor',
    'raw.nested.constructor.name',
    'config.toString',
    'raw.hasOwnProperty',
    'config.value.length',
  ])
    assert.equal(request(path), undefined, path);
});

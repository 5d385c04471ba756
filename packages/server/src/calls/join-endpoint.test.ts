import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseUrlOf, joinEndpoint, splitEndpoint } from './join-endpoint.ts';
import { targetUrl } from '../formats/request-target.ts';

const base = baseUrlOf(new URL('https://api.acme.com/v1?version=2'));

test('an endpoint and a base URL become one target, with the base URL’s query first', () => {
  for (const [endpoint, url, endpointQuery] of [
    ['', 'https://api.acme.com/v1?version=2', ''],
    ['/', 'https://api.acme.com/v1?version=2', ''],
    ['users/me?a=1&b', 'https://api.acme.com/v1/users/me?version=2&a=1&b', 'a=1&b'],
    ['/users?', 'https://api.acme.com/v1/users?version=2', ''],
    ["a%20b'?q='", "https://api.acme.com/v1/a%20b'?version=2&q=%27", "q='"],
    ['a@b:c?d?e', 'https://api.acme.com/v1/a@b:c?version=2&d?e', 'd?e'],
  ] as const) {
    const joined = joinEndpoint(base, endpoint);
    assert.equal(targetUrl(joined.target), url, endpoint);
    assert.equal(joined.endpointQuery, endpointQuery, endpoint);
  }
});

test('P1: no endpoint leaves the path of the base URL, or names another host', () => {
  for (const endpoint of [
    '..',
    '../admin',
    'a/../../admin',
    '..;/admin',
    '..%3b/admin',
    '%2e%2e/admin',
    '%252e%252e%252fadmin',
    String.raw`..\admin`,
    '..%5cadmin',
    '//evil.example/',
    'https://evil.example/',
    String.raw`\\evil.example`,
    'a#b',
    'a b',
    'a?b\nc',
    'a\ud800',
  ])
    assert.throws(() => joinEndpoint(base, endpoint), { code: 'invalid_endpoint' }, endpoint);
  for (const endpoint of ['@evil.example', ':80@evil.example/', '/@evil.example', 'a//b', 'a/...']) {
    const { target } = joinEndpoint(base, endpoint);
    assert.equal(new URL(targetUrl(target)).origin, base.origin, endpoint);
    assert.ok(new URL(targetUrl(target)).pathname.startsWith(base.root), endpoint);
  }
});

test('an endpoint is split at its first question mark', () => {
  assert.deepEqual(splitEndpoint('a/b'), { path: 'a/b', query: '' });
  assert.deepEqual(splitEndpoint('a?b?c'), { path: 'a', query: 'b?c' });
});

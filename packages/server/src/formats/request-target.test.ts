import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorityOf, originForm, resolveReference, targetOf, targetUrl, withQuery } from './request-target.ts';

test('a target has the parts of a URL that a request sends, without user information and fragment', () => {
  const target = targetOf(new URL('https://user:word@API.example:443/a%20b?x=1&y#z'));
  assert.deepEqual(target, { origin: 'https://api.example', path: '/a%20b', query: 'x=1&y' });
  assert.equal(targetUrl(target), 'https://api.example/a%20b?x=1&y');
  assert.equal(originForm(target), '/a%20b?x=1&y');
});

test('a target without a query has no question mark', () => {
  for (const url of ['http://[::1]:8080', 'http://[::1]:8080/', 'http://[::1]:8080/?'])
    assert.equal(targetUrl(targetOf(new URL(url))), 'http://[::1]:8080/');
});

test('a URL that is neither http nor https is rejected', () => {
  for (const url of ['ftp://api.example/', 'ws://api.example/', 'file:///etc/passwd', 'data:text/plain,x'])
    assert.throws(() => targetOf(new URL(url)), { code: 'request_failed' }, url);
});

test('added parameters follow the target’s own', () => {
  const target = { origin: 'https://api.example', path: '/a', query: '' };
  assert.equal(withQuery(target, ''), target);
  assert.equal(originForm(withQuery(target, 'x=1')), '/a?x=1');
  assert.equal(originForm(withQuery(withQuery(target, 'x=1'), 'y=2')), '/a?x=1&y=2');
});

test('a reference is resolved against path and query of the target', () => {
  const from = { origin: 'https://api.example', path: '/v1/users', query: 'page=1' };
  const resolved = (reference: string) => resolveReference(reference, from)?.href;
  assert.equal(resolved('?page=2'), 'https://api.example/v1/users?page=2');
  assert.equal(resolved('teams'), 'https://api.example/v1/teams');
  assert.equal(resolved('//other.example/x'), 'https://other.example/x');
  assert.equal(resolved('https://'), undefined);
});

test('the hostname of an IPv6 origin has no brackets, and its host has brackets', () => {
  assert.deepEqual(authorityOf('http://[::1]:8080'), {
    protocol: 'http:',
    hostname: '::1',
    port: '8080',
    host: '[::1]:8080',
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redirectOf, type RedirectResponse } from './redirects.ts';

const from = { origin: 'https://api.acme.com', path: '/v1/files/1', query: 'key=1' };
const response = { method: 'GET', status: 302, location: '/v1/files/2', from, redirects: 0, isReplayable: true };
const policy = { apiOrigin: from.origin, listed: ['https://files.acme.com'], allowHttp: false };

const redirect = (given: Partial<RedirectResponse>) => redirectOf({ ...response, ...given }, policy);

test('a redirect leads to its Location, and a fragment is never sent', () => {
  for (const [location, target] of [
    ['2?x=1#part', { origin: from.origin, path: '/v1/files/2', query: 'x=1' }],
    ['?x=1', { ...from, query: 'x=1' }],
    ['https://files.acme.com/a', { origin: 'https://files.acme.com', path: '/a', query: '' }],
  ] as const)
    assert.deepEqual(redirect({ location })?.target, target, location);
});

test('P3: a redirect to another origin, over http, or with user information is not followed', () => {
  for (const location of [
    'https://evil.example/',
    '//evil.example/',
    'http://api.acme.com/',
    'https://user@api.acme.com/',
    'https://api.acme.com:8443/',
    'ftp://api.acme.com/',
    'https://',
  ])
    assert.equal(redirect({ location }), undefined, location);
});

test('303 becomes a GET without a body; 307 and 308 repeat a body that can be sent again', () => {
  assert.deepEqual(redirect({ method: 'POST', status: 303 }), {
    target: { ...from, path: '/v1/files/2', query: '' },
    method: 'GET',
    keepsBody: false,
  });
  for (const status of [307, 308]) {
    assert.equal(redirect({ method: 'POST', status })?.keepsBody, true);
    assert.equal(redirect({ method: 'POST', status, isReplayable: false }), undefined);
  }
  for (const status of [301, 302]) assert.equal(redirect({ method: 'POST', status }), undefined);
});

test('the sixth redirect in a row is not followed', () => {
  assert.notEqual(redirect({ redirects: 4 }), undefined);
  assert.equal(redirect({ redirects: 5 }), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingScopes, scopesIn } from './scopes.ts';

const SPACE = { path: 'scope', separator: ' ' };

test('scopes are read in every form in which providers send them', () => {
  for (const [response, scopes] of [
    [{ scope: 'read write' }, ['read', 'write']],
    [{ scope: 'read,write' }, ['read', 'write']],
    [{ scope: 'read, write' }, ['read', 'write']],
    [{ scope: ['read', 'write'] }, ['read', 'write']],
    [{ scope: ['read write', 'admin'] }, ['read', 'write', 'admin']],
    [{ scope: 'write read write ' }, ['write', 'read']],
    [{ scope: 'https://mail.example/ a:b' }, ['https://mail.example/', 'a:b']],
    [{ scope: '' }, undefined],
    [{ scope: [] }, undefined],
    [{ scope: null }, undefined],
    [{ scope: 7 }, undefined],
    [{ scope: { read: true } }, undefined],
    [{}, undefined],
    [{ scope: 'x'.repeat(301) }, undefined],
    [{ scope: Array.from({ length: 201 }, (_, index) => `s${index}`) }, undefined],
  ] as const)
    assert.deepEqual(scopesIn(response, SPACE), scopes, JSON.stringify(response).slice(0, 80));
  assert.deepEqual(scopesIn({ scope: 'read+write' }, { path: 'scope', separator: '+' }), ['read', 'write']);
  const nested = { authed_user: { scope: 'identify,chat' } };
  assert.deepEqual(scopesIn(nested, { path: 'authed_user.scope', separator: ',' }), ['identify', 'chat']);
  assert.deepEqual(scopesIn({ scope: 'read write' }, { path: 'scope', separator: '' }), ['read', 'write']);
});

test('a scope is missing if it was not granted, and no granted one implies it', () => {
  const missing = (requested: string[], granted: string[], implies = {}) =>
    missingScopes({ requested, granted }, implies);
  assert.deepEqual(missing(['a', 'b'], ['b', 'a']), []);
  assert.deepEqual(missing(['a', 'b'], ['b']), ['a']);
  assert.deepEqual(missing(['read'], ['admin'], { admin: ['write'], write: ['read'] }), []);
  assert.deepEqual(missing(['read'], ['admin'], { admin: ['write'], write: ['admin'] }), ['read']);
  assert.deepEqual(missing(['offline_access', 'x'], ['x'], { '*': ['offline_access'] }), []);
  assert.deepEqual(missing(['constructor'], ['__proto__']), ['constructor']);
});

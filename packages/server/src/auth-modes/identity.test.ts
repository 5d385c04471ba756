import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeIdentity, identityFrom } from './identity.ts';

function idToken(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part(claims)}.signature`;
}

test('an identity is read by dotted paths, and numbers become text', () => {
  const response = { user: { id: 17 }, team: { id: 'T1' }, email: 'ada@example.com' };
  assert.deepEqual(identityFrom(response, { user: 'user.id', workspace: 'team.id', name: 'email' }), {
    user: '17',
    workspace: 'T1',
    name: 'ada@example.com',
  });
  assert.deepEqual(identityFrom(response), {});
});

test('claims of the ID token are members of it', () => {
  const response = { id_token: idToken({ sub: 'u1', tid: 't1' }) };
  assert.deepEqual(
    identityFrom(response, { user: 'id_token.sub', workspace: 'id_token.tid', name: 'id_token.email' }),
    {
      user: 'u1',
      workspace: 't1',
    },
  );
  for (const id_token of ['', 'a.b', 'a.b.c', 'a.bnVsbA.c', idToken([] as object), 7, null])
    assert.deepEqual(identityFrom({ id_token }, { user: 'id_token.sub' }), {});
});

test('a member that is no usable text is unknown', () => {
  for (const id of ['', 'a\u0000b', 'a\nb', 'x'.repeat(501), '\ud800', null, true, {}, ['a']])
    assert.deepEqual(identityFrom({ id }, { user: 'id' }), {});
  assert.deepEqual(identityFrom({}, { user: 'constructor.name' }), {});
  assert.deepEqual(identityFrom(JSON.parse('{"__proto__":{"id":"x"}}'), { user: 'id' }), {});
});

test('without a user there is no identity', () => {
  assert.equal(completeIdentity({ workspace: 'T1', name: 'Acme' }), undefined);
  assert.deepEqual(completeIdentity({ user: 'u1' }), { user: 'u1', workspace: null, name: null });
});

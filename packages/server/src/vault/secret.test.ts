import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { test } from 'node:test';
import { Secret, secretTextsIn, toRevealedJson } from './secret.ts';

test('printing a secret, or a value that holds it, does not reveal it', () => {
  const held = { token: new Secret('hush'), list: [new Secret({ deep: 'hush' })] };
  for (const text of [String(held.token), ['', held.token].join(), JSON.stringify(held), inspect(held, { depth: 9 })])
    assert.doesNotMatch(text, /hush/);
});

test('revealed JSON contains secrets at every depth, and exact numbers', () => {
  const exact = [JSON.rawJSON('12345678901234567890')];
  const value = { a: new Secret({ b: new Secret('x'), c: exact }), d: [new Secret('y')], e: undefined };
  assert.equal(toRevealedJson(value), '{"a":{"b":"x","c":[12345678901234567890]},"d":["y"]}');
});

test('secret texts are found at every depth, and other texts are not', () => {
  const values = [{ plain: 'p', token: new Secret('t') }, new Secret({ raw: ['r', { s: 's' }], n: 1 }), 'q'];
  assert.deepEqual(
    secretTextsIn(...values).map((secret) => secret.reveal()),
    ['t', 'r', 's'],
  );
});

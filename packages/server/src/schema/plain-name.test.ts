import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainNameSchema } from './plain-name.ts';

test('a plain name cannot change the meaning of a path or a URL', () => {
  for (const name of ['acme', 'acme-crm_2', '2fa', 'A'.repeat(100)])
    assert.equal(plainNameSchema.safeParse(name).success, true, name);
  for (const name of [
    '',
    '.',
    '..',
    '../x',
    'a/b',
    String.raw`a\b`,
    'a b',
    'a%2fb',
    'a\n',
    'é',
    '_a',
    'A'.repeat(101),
    1,
  ])
    assert.equal(plainNameSchema.safeParse(name).success, false, String(name));
});

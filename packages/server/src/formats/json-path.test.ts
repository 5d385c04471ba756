import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberAt } from './json-path.ts';

const ANSWER = { a: { 'b.c': [{ d: 1 }, { d: 2 }] }, e: null };

test('paths lead by names, numbers from both ends, escaped dots, and to the only list', () => {
  assert.equal(memberAt(ANSWER, 'a.b\\.c.0.d'), 1);
  assert.equal(memberAt(ANSWER, 'a.b\\.c.-1.d'), 2);
  assert.deepEqual(memberAt(ANSWER, 'a.*'), [{ d: 1 }, { d: 2 }]);
  assert.equal(memberAt(ANSWER, 'a.*.1.d'), 2);
});

test('what is not there is undefined: members of prototypes, of null and texts, lists of which there are two', () => {
  for (const path of ['x', 'a.x.y', 'e.x', 'constructor', 'a.b\\.c.length', 'a.b\\.c.9', 'a.b\\.c.x', '__proto__.x'])
    assert.equal(memberAt(ANSWER, path), undefined, path);
  assert.equal(memberAt({ one: [], two: [] }, '*'), undefined);
  assert.equal(memberAt('text', 'length'), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberAt } from './json-path.ts';

const DOCUMENT = { a: { 'b.c': [{ d: 1 }, { d: 2 }] }, e: null };

test('a path has names, numbers from both ends, escaped dots, and "*" for the only list', () => {
  assert.equal(memberAt(DOCUMENT, 'a.b\\.c.0.d'), 1);
  assert.equal(memberAt(DOCUMENT, 'a.b\\.c.-1.d'), 2);
  assert.deepEqual(memberAt(DOCUMENT, 'a.*'), [{ d: 1 }, { d: 2 }]);
  assert.equal(memberAt(DOCUMENT, 'a.*.1.d'), 2);
});

test('returns undefined for a member of a prototype, of null or of text, and for one of two lists', () => {
  for (const path of ['x', 'a.x.y', 'e.x', 'constructor', 'a.b\\.c.length', 'a.b\\.c.9', 'a.b\\.c.x', '__proto__.x'])
    assert.equal(memberAt(DOCUMENT, path), undefined, path);
  assert.equal(memberAt({ one: [], two: [] }, '*'), undefined);
  assert.equal(memberAt('text', 'length'), undefined);
});

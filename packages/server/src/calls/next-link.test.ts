import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextLink, UNREADABLE } from './next-link.ts';

test('finds the next page among the relations of a Link header, however it is written', () => {
  assert.equal(nextLink('<a>; rel=next'), 'a');
  assert.equal(nextLink('<https://x/?a=1,2;b=3>; title="a, <b>; rel=x"; REL="prev NEXT"'), 'https://x/?a=1,2;b=3');
  assert.equal(nextLink(['<a>; rel="last"', '<b> ; rel = "next"']), 'b');
});

test('there is no next page if the header is absent, empty or names other relations', () => {
  for (const header of [undefined, '', ' ', '<a>; rel="nextpage"', '<a>; title="rel=next"', ['<a>; rel=last', '']])
    assert.equal(nextLink(header), undefined);
});

test('a header that cannot be read does not tell whether there is a next page', () => {
  for (const header of ['nonsense', '<a', `<a>; rel="next"; title="${'x'.repeat(16_384)}"`])
    assert.equal(nextLink(header), UNREADABLE);
});

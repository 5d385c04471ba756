import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionKeyText } from './store.ts';

// What separates, escapes or ends texts; every key of up to three of these on each side is tried.
const PIECES = ['', 'a', '/', '%2f', '"', '\\', ',', '[', '\0', '\u2028', '\ud800', '😀', '","'];

test('D3: no two keys of connections have the same text', () => {
  const names = PIECES.flatMap((one) => PIECES.flatMap((two) => PIECES.map((three) => one + two + three)));
  const halves = [...new Set(names)].filter((_, index) => index % 7 === 0);
  const seen = new Set<string>();
  for (const integration of halves) for (const userId of halves) seen.add(connectionKeyText({ integration, userId }));
  assert.equal(seen.size, halves.length ** 2);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionKeyText } from './store.ts';

// Characters that separate, escape or end texts. Keys are built from all pairs of these.
const PIECES = ['', 'a', '/', '%2f', '"', '\\', ',', '[', '\0', '\u2028', '\ud800', '😀', '","', ' '];

test('D3: no two keys of connections have the same text', () => {
  const halves = [...new Set(PIECES.flatMap((one) => PIECES.map((two) => one + two)))];
  const seen = new Map<string, string>();
  for (const integration of halves)
    for (const userId of halves) {
      const text = connectionKeyText({ integration, userId });
      assert.equal(seen.get(text), undefined, `${text}: ${JSON.stringify([integration, userId])}`);
      seen.set(text, JSON.stringify([integration, userId]));
    }
});

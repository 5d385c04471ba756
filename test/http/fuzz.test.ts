import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '../support/fuzz.ts';

test('P1, P4, P5, P6, P7: hostile inputs neither crash, escape nor split anything', () => {
  const { inputs, refused } = fuzz({ seed: 20_261_125, inputs: 30_000 });
  // Both must happen: inputs that are never accepted, or never rejected, would prove nothing.
  assert.ok(refused > inputs / 20 && refused < inputs - inputs / 20, `${refused} of ${inputs} were refused`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOffMs } from './back-off.ts';

test('R4: the back-off doubles up to five minutes, and half of it is random', () => {
  const none = { random: () => 0 };
  assert.deepEqual(
    [0, 1, 2, 20].map((failures) => backOffMs(failures, none)),
    [500, 1_000, 2_000, 150_000],
  );
  assert.equal(backOffMs(0, { random: () => 1 }), 1_000);
});

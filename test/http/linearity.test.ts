import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findNonlinear } from '../support/linearity.ts';

test('D1: every function that reads outside text takes linear time for any text', () => {
  assert.deepEqual(findNonlinear(262_144), []);
});

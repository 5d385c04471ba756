import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findNonlinear } from '../support/linearity.ts';

test('D1: every function that reads outside text takes time in proportion to it, whatever it holds', () => {
  assert.deepEqual(findNonlinear(262_144), []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClock } from './clock.ts';

test('T8: a wall clock that is set back does not stop the time; one that is right after a sleep counts', () => {
  const machine = { wall: 1_000_000, monotonic: 50 };
  const now = createClock(
    () => machine.wall,
    () => machine.monotonic,
  );
  const pass = (milliseconds: number) => {
    machine.wall += milliseconds;
    machine.monotonic += milliseconds;
  };
  pass(1_000);
  assert.equal(now(), 1_001_000);
  machine.wall -= 600_000;
  assert.equal(now(), 1_001_000);
  pass(5_000);
  assert.equal(now(), 1_006_000);
  // However often it is asked: fractions of a millisecond add up.
  for (let call = 0; call < 100; call += 1) {
    machine.monotonic += 0.25;
    now();
  }
  assert.equal(now(), 1_006_025);
  machine.wall = 2_000_000;
  assert.equal(now(), 2_000_000);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClock } from './clock.ts';

const DAY = 86_400_000;

/** A machine whose clocks a test holds, and a server's clock on it. */
function createMachine() {
  const machine = { wall: 1_000_000_000, monotonic: 50 };
  const now = createClock(
    () => machine.wall,
    () => machine.monotonic,
  );
  const pass = (milliseconds: number, every = 100) => {
    for (let left = milliseconds; left > 0; left -= every) {
      machine.wall += Math.min(every, left);
      machine.monotonic += Math.min(every, left);
      now();
    }
  };
  return { machine, now, pass };
}

for (const step of [DAY, -DAY, 1_500, -600_000])
  test(`T8: a step of the wall clock by ${step} ms that is taken back leaves no trace`, () => {
    const { machine, now, pass } = createMachine();
    pass(1_000);
    machine.wall += step;
    assert.equal(now(), 1_000_001_000);
    pass(1_500);
    assert.equal(now(), 1_000_002_500);
    machine.wall -= step;
    pass(10_000);
    assert.equal(now(), 1_000_012_500);
    assert.equal(now(), machine.wall);
  });

for (const step of [DAY, -DAY])
  test(`T8: a step of the wall clock by ${step} ms that stays is followed after five seconds`, () => {
    const { machine, now, pass } = createMachine();
    machine.wall += step;
    pass(4_900);
    assert.equal(now(), 1_000_004_900);
    pass(200);
    assert.equal(now(), machine.wall);
    pass(DAY, 60_000);
    assert.equal(now(), machine.wall);
  });

test('T8: a machine that slept has the right time again, although its monotonic clock stood still', () => {
  const { machine, now, pass } = createMachine();
  machine.wall += 3_600_000;
  pass(5_100);
  assert.equal(now(), machine.wall);
});

test('T8: the time never goes back by drift, and fractions of a millisecond add up', () => {
  const { machine, now } = createMachine();
  let last = now();
  for (let call = 0; call < 4_000; call += 1) {
    machine.monotonic += 0.25;
    machine.wall += call % 2 === 0 ? 0 : 0.5 - 0.04;
    const time = now();
    assert.ok(time >= last);
    last = time;
  }
  assert.ok(Math.abs(last - machine.wall) <= 500);
});

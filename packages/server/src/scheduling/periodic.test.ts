import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Periodic } from './periodic.ts';

test('R9: a round begins soon after the first nudge, although further nudges follow', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let rounds = 0;
  const periodic = new Periodic({
    everyMs: 60_000,
    random: () => 0.5,
    task: async () => void (rounds += 1),
    onError: (error) => assert.fail(String(error)),
  });
  periodic.start();
  for (let millisecond = 0; millisecond < 100; millisecond += 1) {
    periodic.nudge();
    t.mock.timers.tick(1);
    await new Promise(setImmediate);
  }
  assert.ok(rounds >= 4, `${rounds} rounds`);
  await periodic.stop();
});

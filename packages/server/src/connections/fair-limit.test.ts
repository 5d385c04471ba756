import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairLimit } from './fair-limit.ts';

test('R9: runs no more than the limit of one name at a time, in order, and leaves other names alone', async () => {
  const limit = new FairLimit();
  const started: string[] = [];
  const endings: (() => void)[] = [];
  const run = (name: string, id: string) =>
    limit.run(name, 2, () => {
      started.push(id);
      return new Promise<void>((resolve) => endings.push(resolve));
    });
  const tasks = ['a1', 'a2', 'a3', 'a4'].map((id) => run('a', id));
  tasks.push(run('b', 'b1'));
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(started.toSorted(), ['a1', 'a2', 'b1']);
  for (let ended = 0; ended < 5; ended += 1) {
    endings[ended]?.();
    await new Promise(setImmediate);
  }
  await Promise.all(tasks);
  assert.deepEqual(started.slice(-2), ['a3', 'a4']);
});

test('a task that fails gives its place back', async () => {
  const limit = new FairLimit();
  await assert.rejects(limit.run('a', 1, () => Promise.reject(new Error('no'))));
  assert.equal(await limit.run('a', 1, async () => 'next'), 'next');
});

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

test('D5: what takes long gives its place on, so that thirty that hang delay others by less than a second', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const limit = new FairLimit({ slowMs: 250 });
  for (let count = 0; count < 30; count += 1) void limit.run('a', 10, () => new Promise(() => undefined));
  await new Promise(setImmediate);
  let hasRun = false;
  const next = limit.run('a', 10, async () => (hasRun = true));
  for (let waited = 0; waited < 750; waited += 250) {
    assert.equal(hasRun, false);
    t.mock.timers.tick(250);
    await new Promise(setImmediate);
  }
  assert.equal(await next, true);
});

test('of those that hang, ten times as many as there are places run at most', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const limit = new FairLimit({ slowMs: 250 });
  let started = 0;
  const hang = () => {
    started += 1;
    return new Promise<void>(() => undefined);
  };
  for (let count = 0; count < 100; count += 1) void limit.run('a', 2, hang);
  for (let round = 0; round < 100; round += 1) {
    t.mock.timers.tick(250);
    await new Promise(setImmediate);
  }
  assert.equal(started, 20);
});

test('D5: what hangs gives its place on once others that hang have ended, also where too many did when it became slow', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const limit = new FairLimit({ slowMs: 250 });
  const endings: (() => void)[] = [];
  for (let count = 0; count < 20; count += 1)
    void limit.run('a', 2, () => new Promise<void>((resolve) => endings.push(resolve)));
  const later = async () => {
    t.mock.timers.tick(250);
    await new Promise(setImmediate);
  };
  for (let round = 0; round < 20; round += 1) await later();
  assert.equal(endings.length, 20);
  let hasRun = false;
  const next = limit.run('a', 2, async () => (hasRun = true));
  await later();
  assert.equal(hasRun, false);
  endings[0]?.();
  for (let round = 0; round < 2; round += 1) await later();
  assert.equal(hasRun, true);
  await next;
});

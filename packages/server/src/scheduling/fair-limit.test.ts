import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairLimit } from './fair-limit.ts';

test('R9: runs at most the limit of tasks of one name, in order, and does not limit other names', async () => {
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

test('a task that fails releases its place', async () => {
  const limit = new FairLimit();
  await assert.rejects(limit.run('a', 1, () => Promise.reject(new Error('no'))));
  assert.equal(await limit.run('a', 1, async () => 'next'), 'next');
});

test('D5: a slow task releases its place, so thirty tasks that hang delay others by less than a second', async (t) => {
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

test('D5: after a hundred tasks that hang, the next task runs within a second', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const limit = new FairLimit({ slowMs: 250 });
  for (let count = 0; count < 100; count += 1) void limit.run('a', 10, () => new Promise(() => undefined));
  let hasRun = false;
  const next = limit.run('a', 10, async () => (hasRun = true));
  await new Promise(setImmediate);
  for (let waited = 0; waited < 750; waited += 250) {
    t.mock.timers.tick(250);
    await new Promise(setImmediate);
  }
  assert.equal(hasRun, true);
  await next;
});

test('R9: if tasks end in time, no task runs without a place, however long it waits', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const limit = new FairLimit({ slowMs: 250 });
  const endings: (() => void)[] = [];
  let most = 0;
  const tasks = Array.from({ length: 200 }, () =>
    limit.run('a', 10, () => new Promise<void>((resolve) => (most = Math.max(most, endings.push(resolve))))),
  );
  await new Promise(setImmediate);
  for (let round = 0; round < 20; round += 1) {
    for (const end of endings.splice(0)) end();
    await new Promise(setImmediate);
    t.mock.timers.tick(200);
    await new Promise(setImmediate);
  }
  await Promise.all(tasks);
  assert.equal(most, 10);
});

test('at most twenty tasks for each place run if tasks hang', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
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
  assert.equal(started, 40);
});

test('D5: if too many tasks hang, a slow task releases its place as soon as some of them end', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const limit = new FairLimit({ slowMs: 250 });
  const endings: (() => void)[] = [];
  for (let count = 0; count < 40; count += 1)
    void limit.run('a', 2, () => new Promise<void>((resolve) => endings.push(resolve)));
  const later = async () => {
    t.mock.timers.tick(250);
    await new Promise(setImmediate);
  };
  for (let round = 0; round < 20; round += 1) await later();
  assert.equal(endings.length, 40);
  let hasRun = false;
  const next = limit.run('a', 2, async () => (hasRun = true));
  await later();
  assert.equal(hasRun, false);
  endings[0]?.();
  for (let round = 0; round < 2; round += 1) await later();
  assert.equal(hasRun, true);
  await next;
});

test('isFull returns whether a task would have to wait', async () => {
  const limit = new FairLimit();
  assert.equal(limit.isFull('a', 1), false);
  const task = Promise.withResolvers<void>();
  const running = limit.run('a', 1, () => task.promise);
  assert.deepEqual([limit.isFull('a', 1), limit.isFull('a', 2), limit.isFull('b', 1)], [true, false, false]);
  task.resolve();
  await running;
  assert.equal(limit.isFull('a', 1), false);
});

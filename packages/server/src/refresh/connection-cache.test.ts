import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NangoError } from '../errors/nango-error.ts';
import type { ChangeListener } from '../store/connection-watch.ts';
import type { ConnectionKey } from '../store/store.ts';
import { ConnectionCache, STALE_MS } from './connection-cache.ts';
import type { OpenConnection } from '../connections/connection-context.ts';

const KEY = keyOf('1');
const OUTAGE_MS = 300_000;

function keyOf(userId: string): ConnectionKey {
  return { integration: 'acme', userId, account: 'default' };
}

const open = (id: string, key = KEY) => ({ row: { id, ...key } }) as unknown as OpenConnection;
const unavailable = () => Promise.reject(new NangoError('store_unavailable', 'gone'));

/** A cache whose clock, size and channel the test holds. */
function createCache({ size = 10 } = {}) {
  const world = { now: 1_000_000, confirmedAt: 0, tell: (() => undefined) as ChangeListener, changes: 0 };
  const watchConnections = (listener: ChangeListener) => {
    world.tell = listener;
    return { confirmedAt: () => world.confirmedAt, close: async () => undefined };
  };
  const cache = new ConnectionCache(
    { watchConnections },
    {
      size: () => size,
      outageMs: () => OUTAGE_MS,
      monotonic: () => world.now,
      onChange: () => (world.changes += 1),
    },
  );
  return { cache, world };
}

test('serves what was read, for as long as the store confirms that nothing changed', async () => {
  const { cache, world } = createCache();
  assert.equal(cache.fresh(KEY), undefined);
  const first = open('a');
  assert.equal(await cache.load(KEY, async () => first), first);
  world.now += STALE_MS;
  assert.equal(cache.fresh(KEY), first);
  world.now += 3_600_000;
  world.confirmedAt = world.now - STALE_MS;
  assert.equal(cache.fresh(KEY), first);
});

test('with the channel silent, nothing is served for longer than the bound', async () => {
  const { cache, world } = createCache();
  await cache.load(KEY, async () => open('a'));
  world.now += STALE_MS + 1;
  assert.equal(cache.fresh(KEY), undefined);
});

test('a change takes its connection out, a change of no name all of them', async () => {
  const { cache, world } = createCache();
  const other = keyOf('2');
  await cache.load(KEY, async () => open('a'));
  await cache.load(other, async () => open('b', other));
  world.tell('a');
  assert.equal(cache.fresh(KEY), undefined);
  assert.equal(cache.fresh(other)?.row.id, 'b');
  world.tell();
  assert.equal(cache.fresh(other), undefined);
  assert.equal(world.changes, 2);
});

test('what changes while it is read is returned but not kept', async () => {
  for (const uuid of ['a', undefined]) {
    const { cache, world } = createCache();
    const read = Promise.withResolvers<OpenConnection>();
    const loading = cache.load(KEY, () => read.promise);
    world.tell(uuid);
    read.resolve(open('a'));
    assert.equal((await loading)?.row.id, 'a');
    assert.equal(cache.fresh(KEY), undefined);
  }
  const { cache, world } = createCache();
  const read = Promise.withResolvers<OpenConnection>();
  const loading = cache.load(KEY, () => read.promise);
  world.tell('another');
  read.resolve(open('a'));
  await loading;
  assert.equal(cache.fresh(KEY)?.row.id, 'a');
});

test('a read that finds nothing takes out what was there', async () => {
  const { cache } = createCache();
  await cache.load(KEY, async () => open('a'));
  await cache.load(KEY, async () => undefined);
  assert.equal(cache.fresh(KEY), undefined);
});

test('holds no more than its size, and forgets what was not used for longest', async () => {
  const { cache } = createCache({ size: 2 });
  await cache.load(keyOf('1'), async () => open('1', keyOf('1')));
  await cache.load(keyOf('2'), async () => open('2', keyOf('2')));
  cache.fresh(keyOf('1'));
  await cache.load(keyOf('3'), async () => open('3', keyOf('3')));
  assert.deepEqual(
    ['1', '2', '3'].map((userId) => cache.fresh(keyOf(userId)) !== undefined),
    [true, false, true],
  );
});

test('S4: with the database gone it goes on, one caller a second finds out, and it ends with the outage’s bound', async () => {
  const { cache, world } = createCache();
  await cache.load(KEY, async () => open('a'));
  world.now += STALE_MS + 1;
  assert.equal(cache.fresh(KEY), undefined);
  await assert.rejects(cache.load(KEY, unavailable), { code: 'store_unavailable' });
  assert.equal(cache.lastKnown(KEY)?.row.id, 'a');
  assert.equal(cache.fresh(KEY)?.row.id, 'a');
  world.now += 1_000;
  assert.equal(cache.fresh(KEY), undefined, 'this caller finds out');
  assert.equal(cache.fresh(KEY)?.row.id, 'a', 'the next one need not wait');
  // The store answers again: others are read again, since they may have changed.
  await cache.load(keyOf('2'), async () => open('b', keyOf('2')));
  assert.equal(cache.fresh(KEY), undefined);
  world.now += OUTAGE_MS;
  await assert.rejects(cache.load(KEY, unavailable));
  assert.equal(cache.fresh(KEY), undefined);
  assert.equal(cache.lastKnown(KEY), undefined);
});

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

/** A cache whose clock, size and channel the test controls. */
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

test('serves what was read, as long as the store confirms that nothing changed', async () => {
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

test('while the channel is silent, nothing is served for longer than the bound', async () => {
  const { cache, world } = createCache();
  await cache.load(KEY, async () => open('a'));
  world.now += STALE_MS + 1;
  assert.equal(cache.fresh(KEY), undefined);
});

test('a change removes its connection; a change without a uuid removes all of them', async () => {
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

test('a connection that changes while it is read is returned but not cached', async () => {
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

test('a read that finds nothing removes the entry', async () => {
  const { cache } = createCache();
  await cache.load(KEY, async () => open('a'));
  await cache.load(KEY, async () => undefined);
  assert.equal(cache.fresh(KEY), undefined);
});

test('holds no more than its size, and evicts the entry that was not used for longest', async () => {
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

test('S4: serves while the database is down, until the bound; one caller a second tries the database', async () => {
  const { cache, world } = createCache();
  await cache.load(KEY, async () => open('a'));
  world.now += STALE_MS + 1;
  assert.equal(cache.fresh(KEY), undefined);
  await assert.rejects(cache.load(KEY, unavailable), { code: 'store_unavailable' });
  assert.equal(cache.cachedForOutage(KEY)?.row.id, 'a');
  assert.equal(cache.fresh(KEY)?.row.id, 'a');
  world.now += 1_000;
  assert.equal(cache.fresh(KEY), undefined, 'this caller tries the database');
  assert.equal(cache.fresh(KEY)?.row.id, 'a', 'the next caller need not wait');
  // The store responds again. Other entries are read again, because they may have changed.
  await cache.load(keyOf('2'), async () => open('b', keyOf('2')));
  assert.equal(cache.fresh(KEY), undefined);
  world.now += OUTAGE_MS;
  await assert.rejects(cache.load(KEY, unavailable));
  assert.equal(cache.fresh(KEY), undefined);
  assert.equal(cache.cachedForOutage(KEY), undefined);
});

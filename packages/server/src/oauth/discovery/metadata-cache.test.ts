import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetadataCache } from './metadata-cache.ts';

const HOUR = 3_600_000;

function setUp() {
  const state = { now: 0, loads: 0, fails: false };
  const cache = new MetadataCache<number>(() => state.now);
  const get = (name = 'a') =>
    cache.get(name, async () => {
      state.loads += 1;
      if (state.fails) throw new Error('down');
      return state.loads;
    });
  return { state, get };
}

test('loads a document once an hour, however many callers there are', async () => {
  const { state, get } = setUp();
  assert.deepEqual(await Promise.all([get(), get(), get()]), [1, 1, 1]);
  state.now = HOUR - 1;
  assert.equal(await get(), 1);
  state.now = HOUR;
  assert.equal(await get(), 2);
  assert.equal(await get('b'), 3);
});

test('a document that cannot be loaded again stays in use; one that never loaded is requested each time', async () => {
  const { state, get } = setUp();
  await get();
  state.fails = true;
  state.now = HOUR;
  assert.deepEqual(await Promise.all([get(), get()]), [1, 1]);
  assert.equal(state.loads, 2);
  await assert.rejects(get('b'), /down/);
  await assert.rejects(get('b'), /down/);
  assert.equal(state.loads, 4);
});

test('keeps a bounded number of documents', async () => {
  const { state, get } = setUp();
  for (let i = 0; i <= 1000; i += 1) await get(String(i));
  assert.equal(state.loads, 1001);
  await get('1000');
  assert.equal(state.loads, 1001);
  await get('0');
  assert.equal(state.loads, 1002);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { ConnectionKey } from '../store/store.ts';
import { BackgroundRefresh } from './background-refresh.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';

/** Due connections, and a provider that never responds to some of them. */
function createWorld(due: ConnectionKey[], hangs: (key: ConnectionKey) => boolean) {
  const left = [...due];
  const refreshed: ConnectionKey[] = [];
  const hanging: (() => void)[] = [];
  const most = new Map<string, number>();
  const running = new Map<string, number>();
  const context = {
    store: {
      dueConnections: async ({ limit, except }: { limit: number; except: readonly string[] }) =>
        left.filter(({ integration }) => !except.includes(integration)).slice(0, limit),
      postponeRefresh: async () => undefined,
    },
    now: () => 0,
    random: () => 0.5,
    config: () => ({ integrations: new Map([['slow', { refreshConcurrency: 10 }]]) }),
    log: { warn: () => undefined },
  } as unknown as ConnectionContext;
  const fresh = {
    refreshAhead: async (key: ConnectionKey) => {
      const count = (running.get(key.integration) ?? 0) + 1;
      running.set(key.integration, count);
      most.set(key.integration, Math.max(most.get(key.integration) ?? 0, count));
      if (hangs(key)) await new Promise<void>((resolve) => hanging.push(resolve));
      await turn();
      running.set(key.integration, (running.get(key.integration) ?? 1) - 1);
      refreshed.push(key);
      left.splice(left.indexOf(key), 1);
      return true;
    },
  };
  return { background: new BackgroundRefresh(context, fresh), refreshed, hanging, most };
}

const keys = (integration: string, count: number) =>
  Array.from({ length: count }, (_, user) => ({
    integration,
    userId: String(user),
    account: 'default',
    id: `${integration} ${user}`,
  }));

test('D5, R10: an Integration whose provider hangs does not delay others', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { background, refreshed, hanging } = createWorld(
    [...keys('slow', 1_000), ...keys('good', 300)],
    ({ integration }) => integration === 'slow',
  );
  background.start();
  const rounds = async (enough: () => boolean) => {
    for (let round = 0; round < 1_000 && !enough(); round += 1) {
      t.mock.timers.tick(8_000);
      await turn();
    }
  };
  await rounds(() => refreshed.length === 300);
  assert.ok(refreshed.every(({ integration }) => integration === 'good'));
  // The slow Integration has no more refreshes in flight than its limit.
  assert.deepEqual([refreshed.length, hanging.length], [300, 10]);
  await rounds(() => {
    for (const respond of hanging.splice(0)) respond();
    return refreshed.length === 1_300;
  });
  assert.equal(refreshed.length, 1_300);
  await background.stop();
});

test('R9: with 10,000 due, no Integration exceeds its limit, and the last one is served early', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const due = [...keys('slow', 5_000), ...keys('other', 4_999), ...keys('small', 1)];
  const { background, refreshed, most } = createWorld(due, () => false);
  background.start();
  for (let round = 0; round < 20_000 && refreshed.length < due.length; round += 1) {
    t.mock.timers.tick(8_000);
    await turn();
  }
  assert.equal(refreshed.length, due.length);
  assert.equal(new Set(refreshed).size, due.length);
  assert.deepEqual([most.get('slow'), most.get('other'), most.get('small')], [10, 10, 1]);
  const small = refreshed.findIndex(({ integration }) => integration === 'small');
  assert.ok(small < 100, `refreshed as number ${small}`);
  await background.stop();
});

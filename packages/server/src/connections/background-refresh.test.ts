import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { ConnectionKey } from '../store/store.ts';
import { BackgroundRefresh } from './background-refresh.ts';
import type { ConnectionContext } from './connection-context.ts';

/** Due connections, and a provider of which some never answer. */
function createWorld(due: ConnectionKey[], hangs: (key: ConnectionKey) => boolean) {
  const left = [...due];
  const refreshed: ConnectionKey[] = [];
  const hanging: (() => void)[] = [];
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
    renewAhead: async (key: ConnectionKey) => {
      if (hangs(key)) await new Promise<void>((resolve) => hanging.push(resolve));
      refreshed.push(key);
      left.splice(left.indexOf(key), 1);
      return true;
    },
  };
  return { background: new BackgroundRefresh(context, fresh), refreshed, hanging };
}

const keys = (integration: string, count: number) =>
  Array.from({ length: count }, (_, user) => ({ integration, userId: String(user) }));

test('D5, R10: an Integration whose provider hangs keeps no other waiting, however much of it is due first', async (t) => {
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
  // No more of the slow one are asked than it is permitted.
  assert.deepEqual([refreshed.length, hanging.length], [300, 10]);
  await rounds(() => {
    for (const answer of hanging.splice(0)) answer();
    return refreshed.length === 1_300;
  });
  assert.equal(refreshed.length, 1_300);
  await background.stop();
});

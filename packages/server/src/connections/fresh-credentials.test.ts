import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { integrationOf } from '../../../../test/support/integration.ts';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import { oauth2 } from '../auth-modes/oauth2.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { OAuthHttp } from '../oauth/oauth-http.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import { createVault } from '../vault/vault.ts';
import { ConnectionCache } from './connection-cache.ts';
import { sealCredentials, type ConnectionContext } from './connection-context.ts';
import { FreshCredentials } from './fresh-credentials.ts';

const KEY = { integration: 'acme', userId: '1' };
const NOW = 1_800_000_000_000;
const LIFE_SECONDS = 3;

const vault = createVault(Buffer.alloc(32, 1));
const integration = integrationOf(oauth2, {
  token_url: 'https://a.example/t',
  authorization_url: 'https://a.example/a',
});

/** An engine over a real store, with a clock that waits move forward and a provider whose tokens live three seconds. */
async function startEngine(
  t: TestContext,
  { expiresAt = NOW - 1, lifeSeconds = LIFE_SECONDS }: { expiresAt?: number; lifeSeconds?: number } = {},
) {
  const store = openSqliteStore(join(temporaryFolder(t), 'nango.db'));
  await store.migrate();
  const clock = { now: NOW };
  const write = { failures: 0 };
  const provider = { calls: 0 };
  const cache = new ConnectionCache(store, { size: () => 100, outageMs: () => 300_000 });
  t.after(async () => {
    await cache.close();
    await store.close();
  });
  const flaky: Store = Object.assign(Object.create(store) as Store, {
    updateCredentials: async (...given: Parameters<Store['updateCredentials']>) => {
      if (write.failures <= 0) return store.updateCredentials(...given);
      write.failures -= 1;
      throw new NangoError('store_unavailable', 'The database is away.');
    },
  });
  const http: OAuthHttp = async () => {
    provider.calls += 1;
    const token = { access_token: `at-${provider.calls}`, refresh_token: 'rt', expires_in: lifeSeconds };
    return { status: 200, contentType: 'application/json', body: JSON.stringify(token) };
  };
  const context = {
    store: flaky,
    vault,
    unguardedHttp: http,
    now: () => clock.now,
    random: () => 1,
    randomToken: () => crypto.randomUUID(),
    delay: async (milliseconds: number) => void (clock.now += milliseconds),
    onRenewal: () => undefined,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    config: () => ({ integrations: new Map([['acme', integration]]) }),
  } as unknown as ConnectionContext;
  const first = { access_token: 'at-0', refresh_token: 'rt', expires_at: expiresAt, raw: {} };
  await store.insertConnection({
    ...KEY,
    uuid: crypto.randomUUID(),
    authMode: 'OAUTH2',
    sealedCredentials: sealCredentials(first, KEY, vault),
    additionalConfig: '{}',
    expiresAt,
    dueAt: expiresAt,
    now: NOW - 120_000,
  });
  return { fresh: new FreshCredentials(context, cache), clock, write, provider, store };
}

function accessToken({ credentials }: { credentials: object }): unknown {
  return Reflect.get(credentials, 'access_token');
}

test('S4: a token that expired while the store was away is not handed out, but renewed again', async (t) => {
  const { fresh, write, provider } = await startEngine(t);
  write.failures = 3;
  assert.equal(accessToken(await fresh.get(KEY)), 'at-2');
  assert.equal(provider.calls, 2);
});

test('a token that is born with hardly a life is handed out all the same, for one token call', async (t) => {
  const { fresh, provider } = await startEngine(t, { lifeSeconds: 0.3 });
  assert.equal(accessToken(await fresh.get(KEY)), 'at-1');
  assert.equal(provider.calls, 1);
});

test('P10: a token that was refused, and replaced by one that expired since, is renewed and its grant not given up', async (t) => {
  const { fresh, clock, provider, store } = await startEngine(t, { expiresAt: NOW + 3_600_000 });
  const rejected = await fresh.get(KEY);
  assert.equal(accessToken((await fresh.afterRejection(rejected)) ?? { credentials: {} }), 'at-1');
  clock.now += LIFE_SECONDS * 1000;
  assert.equal(accessToken((await fresh.afterRejection(rejected)) ?? { credentials: {} }), 'at-2');
  assert.equal(provider.calls, 2);
  assert.equal((await store.findConnection(KEY))?.status, 'active');
});

test('D10: a connection that an earlier version gave up although it can be refreshed gets one more try', async (t) => {
  const { fresh, store, clock, provider } = await startEngine(t);
  const reason = 'The access token expired and there is no refresh token.';
  const by = { version: 1, holder: null };
  assert.ok(await store.markNeedsReconnect(KEY, { reason, by, now: clock.now }));
  const opened = await fresh.get(KEY);
  assert.deepEqual([opened.row.status, opened.row.statusReason, provider.calls], ['active', null, 1]);
  assert.ok(
    await store.markNeedsReconnect(KEY, { reason: 'The provider said no.', by: { ...by, version: 2 }, now: clock.now }),
  );
  clock.now += 10_000;
  await assert.rejects(fresh.get(KEY), { code: 'needs_reconnect', message: /The provider said no/ });
  assert.equal(provider.calls, 1);
});

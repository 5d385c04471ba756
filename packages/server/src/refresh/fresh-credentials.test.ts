import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { integrationOf } from '../../../../test/support/integration.ts';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import { oauth2 } from '../auth-modes/oauth2/oauth2.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { OAuthHttp } from '../oauth/oauth-http.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import type { ConnectionIdentity, Store } from '../store/store.ts';
import { createVault } from '../vault/vault.ts';
import { ConnectionCache } from './connection-cache.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import { createSeal } from '../connections/sealed-credentials.ts';
import { FreshCredentials } from './fresh-credentials.ts';
import { revealed, secret } from '../../../../test/support/secrets.ts';

const KEY = { integration: 'acme', userId: '1', account: 'default', id: randomUUID() };
const NOW = 1_800_000_000_000;
const LIFE_SECONDS = 3;

const vault = createVault(secret(Buffer.alloc(32, 1)));
const integration = integrationOf(oauth2, {
  token_url: 'https://a.example/t',
  authorization_url: 'https://a.example/a',
});

/** An engine over a real store. Waits move its clock forward. The provider's tokens live three seconds. */
async function startEngine(
  t: TestContext,
  {
    expiresAt = NOW - 1,
    lifeSeconds = LIFE_SECONDS,
    answer,
  }: { expiresAt?: number; lifeSeconds?: number; answer?: (call: number) => ReturnType<OAuthHttp> } = {},
) {
  const clock = { now: NOW };
  const store = openSqliteStore(join(temporaryFolder(t), 'nango.db'), () => clock.now);
  await store.migrate();
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
    if (answer) return answer(provider.calls);
    const token = { access_token: `at-${provider.calls}`, refresh_token: 'rt', expires_in: lifeSeconds };
    return { status: 200, contentType: 'application/json', body: secret(JSON.stringify(token)) };
  };
  const context = {
    store: flaky,
    vault,
    unguardedHttp: http,
    now: () => clock.now,
    random: () => 1,
    randomToken: () => crypto.randomUUID(),
    delay: async (milliseconds: number) => void (clock.now += milliseconds),
    onRefresh: () => undefined,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    config: () => ({ integrations: new Map([['acme', integration]]) }),
  } as unknown as ConnectionContext;
  const insert = async (connection: ConnectionIdentity, expires_at: number) => {
    const first = { access_token: secret('at-0'), refresh_token: secret('rt'), expires_at, raw: secret({}) };
    await store.insertConnection({
      ...connection,
      authMode: 'OAUTH2',
      seal: await createSeal({ credentials: first }, connection, { store, vault }),
      additionalConfig: '{}',
      tags: null,
      expiresAt: expires_at,
      dueAt: expires_at,
      now: NOW - 120_000,
    });
  };
  await insert(KEY, expiresAt);
  // Another server on the same store.
  const another = () => {
    const itsCache = new ConnectionCache(store, { size: () => 100, outageMs: () => 300_000 });
    t.after(() => itsCache.close());
    return new FreshCredentials(context, itsCache);
  };
  return { fresh: new FreshCredentials(context, cache), another, insert, clock, write, provider, store };
}

function accessToken({ credentials }: { credentials: object }): unknown {
  return revealed(Reflect.get(credentials, 'access_token'));
}

test('S4: a token that expired while the store was down is not served, but refreshed again', async (t) => {
  const { fresh, write, provider } = await startEngine(t);
  write.failures = 3;
  assert.equal(accessToken(await fresh.get(KEY)), 'at-2');
  assert.equal(provider.calls, 2);
});

test('a token with hardly any lifetime is served all the same, after one token request', async (t) => {
  const { fresh, provider } = await startEngine(t, { lifeSeconds: 0.3 });
  assert.equal(accessToken(await fresh.get(KEY)), 'at-1');
  assert.equal(provider.calls, 1);
});

test('P10: after a rejected token, its successor is refreshed when it has expired, and the grant stays', async (t) => {
  const { fresh, clock, provider, store } = await startEngine(t, { expiresAt: NOW + 3_600_000 });
  const rejected = await fresh.get(KEY);
  assert.equal(accessToken((await fresh.afterRejection(rejected)) ?? { credentials: {} }), 'at-1');
  clock.now += LIFE_SECONDS * 1000;
  assert.equal(accessToken((await fresh.afterRejection(rejected)) ?? { credentials: {} }), 'at-2');
  assert.equal(provider.calls, 2);
  assert.equal((await store.findConnection(KEY))?.status, 'active');
});

test('a due connection that changed since its row was read is not refreshed ahead again', async (t) => {
  const { fresh, store, provider } = await startEngine(t);
  const [due] = await store.dueConnections({ now: NOW, limit: 1, except: [] });
  assert.ok(due);
  assert.equal(await fresh.refreshAhead(due), true);
  assert.equal(await fresh.refreshAhead(due), true);
  assert.equal(provider.calls, 1);
  assert.equal((await store.findConnection(KEY))?.version, due.version + 1);
});

test('D10: a refreshable connection that an earlier version gave up is refreshed once more', async (t) => {
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

test('D5: a user whose token is still valid does not wait for the refreshes of others', async (t) => {
  // No refresh becomes slow, so none gives up its place.
  t.mock.timers.enable({ apis: ['setInterval'] });
  const all = Promise.withResolvers<void>();
  const hanging = Promise.withResolvers<Awaited<ReturnType<OAuthHttp>>>();
  const { fresh, insert, provider } = await startEngine(t, {
    answer: (call) => {
      if (call === integration.refreshConcurrency) all.resolve();
      return hanging.promise;
    },
  });
  const due = { ...KEY, userId: 'due', id: randomUUID() };
  await insert(due, NOW + 20_000);
  const others = Array.from({ length: integration.refreshConcurrency }, (_, user) => ({
    ...KEY,
    userId: `o${user}`,
    id: randomUUID(),
  }));
  for (const other of others) await insert(other, NOW - 1);
  const refreshes = others.map((other) => fresh.get(other));
  await all.promise;
  assert.equal(accessToken(await fresh.get(due)), 'at-0');
  assert.equal(provider.calls, others.length);
  const body = JSON.stringify({ access_token: 'at-1', expires_in: 3_600 });
  hanging.resolve({ status: 200, contentType: 'application/json', body: secret(body) });
  await Promise.all(refreshes);
  assert.equal(accessToken(await fresh.get(due)), 'at-1');
});

for (const grace of [true, false]) {
  const kind = grace ? 'grace' : 'reuse detection';
  test(`R2: another server takes over from one that dies with new tokens; no loss is silent (${kind})`, async (t) => {
    const rotated = Promise.withResolvers<void>();
    const { fresh, another, clock, provider, store } = await startEngine(t, {
      answer: async (call) => {
        rotated.resolve();
        // The first caller never receives the tokens that were issued to it.
        if (call === 1) return new Promise<never>(() => undefined);
        const body = grace
          ? { access_token: 'at-2', refresh_token: 'rt-2', expires_in: LIFE_SECONDS }
          : { error: 'invalid_grant' };
        return { status: grace ? 200 : 400, contentType: 'application/json', body: secret(JSON.stringify(body)) };
      },
    });
    void fresh.get(KEY);
    await rotated.promise;
    const began = clock.now;
    const recovered = another().get(KEY);
    if (grace) assert.equal(accessToken(await recovered), 'at-2');
    else await assert.rejects(recovered, { code: 'needs_reconnect', message: /may have been lost/ });
    assert.equal(provider.calls, 2);
    // It happens after the lease of the dead server ends, and not much later.
    assert.ok(clock.now - began >= 15_000 && clock.now - began < 17_000, `${clock.now - began} ms`);
    assert.equal((await store.findConnection(KEY))?.status, grace ? 'active' : 'needs_reconnect');
  });
}

const noResponse = (code: string): Promise<never> =>
  Promise.reject(
    new NangoError('request_failed', 'The provider cannot be reached.', {
      cause: Object.assign(new Error(code), { code }),
    }),
  );
const refused = async (status: number, retryAfterMs?: number) => ({
  status,
  contentType: 'text/plain',
  body: secret(''),
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

for (const [name, answer, leastWaitMs, mayBeLost] of [
  ['500', () => refused(500), 1_000, false],
  ['429 with Retry-After', () => refused(429, 60_000), 60_000, false],
  ['a timeout', () => noResponse('UND_ERR_HEADERS_TIMEOUT'), 1_000, true],
  ['a failure of DNS', () => noResponse('ENOTFOUND'), 1_000, false],
  ['a server that is down', () => noResponse('ECONNREFUSED'), 1_000, false],
] satisfies [string, () => ReturnType<OAuthHttp>, number, boolean][]) {
  test(`R4: after ${name} the provider is not called, for longer each time, and the grant stays`, async (t) => {
    const { fresh, clock, provider, store } = await startEngine(t, { answer });
    let waitMs = leastWaitMs;
    for (let failures = 1; failures <= 12; failures += 1) {
      await assert.rejects(fresh.get(KEY), { code: 'refresh_failed', retryAfter: Math.ceil(waitMs / 1000) });
      clock.now += waitMs - 1;
      await assert.rejects(fresh.get(KEY), { code: 'refresh_failed', retryAfter: 1 });
      assert.equal(provider.calls, failures);
      clock.now += 1;
      waitMs = Math.max(leastWaitMs, Math.min(1_000 * 2 ** failures, 300_000));
    }
    const row = await store.findConnection(KEY);
    assert.deepEqual([row?.status, row?.refresh.failures, row?.refresh.responseLost], ['active', 12, mayBeLost]);
  });
}

test('R4: a valid token is served while the provider is down, with one request per back-off', async (t) => {
  const { fresh, provider } = await startEngine(t, { expiresAt: NOW + 10_000, answer: () => refused(503) });
  for (let caller = 0; caller < 20; caller += 1) assert.equal(accessToken(await fresh.get(KEY)), 'at-0');
  assert.equal(provider.calls, 1);
});

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, test } from 'node:test';
import { sql, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { openPostgresStore } from '../../packages/server/src/store/postgres.ts';
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts';
import type { ConnectionKey, NewConnection, Store } from '../../packages/server/src/store/store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { secret } from '../support/secrets.ts';
import { STORE_KINDS, type StoreKind } from '../support/store-kinds.ts';
import { createCleanup, temporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);
const NOW = 1_800_000_000_000;

function newConnection(overrides: Partial<NewConnection> = {}): NewConnection {
  return {
    integration: 'acme',
    userId: '1',
    account: 'default',
    id: randomUUID(),
    authMode: 'API_KEY',
    seal: () => Uint8Array.of(1, 2, 3),
    additionalConfig: '{"a":1}',
    tags: null,
    expiresAt: null,
    dueAt: null,
    now: NOW,
    ...overrides,
  };
}

function keyOf(userId: string, integration = 'acme'): ConnectionKey {
  return { integration, userId, account: 'default' };
}

for (const { name, setUp } of STORE_KINDS) {
  describe(name, () => {
    let kind: Awaited<ReturnType<StoreKind['setUp']>>;
    let store: Store;
    const cleanup = createCleanup();

    before(async () => {
      kind = await setUp(cleanup);
      store = kind.open();
    });
    after(async () => {
      await store.close();
      await cleanup.run();
    });

    test('S5: several processes migrate at once', async () => {
      const script = `const store = ${kind.script}; await store.migrate(); await store.close();`;
      await Promise.all(Array.from({ length: 3 }, () => run(process.execPath, ['--input-type=module', '-e', script])));
      await store.migrate();
    });

    test('keeps a connection byte for byte', async () => {
      const userId = 'ä/?#"\u2028 🐘 ..';
      const inserted = await store.insertConnection(newConnection({ userId, expiresAt: NOW + 5 }));
      const found = await store.findConnection(keyOf(userId));
      assert.deepEqual(found, inserted);
      assert.deepEqual(
        { ...found, sealedCredentials: [...(found?.sealedCredentials ?? [])], id: '' },
        {
          id: '',
          integration: 'acme',
          userId,
          account: 'default',
          authMode: 'API_KEY',
          sealedCredentials: [1, 2, 3],
          additionalConfig: '{"a":1}',
          tags: '{}',
          requestedScopes: null,
          grantedScopes: null,
          identity: null,
          oauthClientId: null,
          status: 'active',
          statusReason: null,
          expiresAt: NOW + 5,
          dueAt: null,
          version: 1,
          refresh: {
            leasedMs: null,
            retryInMs: null,
            failures: 0,
            lastError: null,
            responseLost: false,
            refusals: 0,
            refusedForMs: null,
          },
          createdAt: NOW,
          updatedAt: NOW,
        },
      );
    });

    test('a second connection of a pair is not stored', async () => {
      const key = keyOf('twice');
      assert.ok(await store.insertConnection(newConnection(key)));
      assert.equal(await store.insertConnection(newConnection({ ...key, seal: () => Uint8Array.of(9) })), undefined);
      assert.deepEqual([...((await store.findConnection(key))?.sealedCredentials ?? [])], [1, 2, 3]);
    });

    test('exactly one of many inserts at once succeeds', async () => {
      const rows = await Promise.all(
        Array.from({ length: 12 }, () => store.insertConnection(newConnection({ userId: 'race' }))),
      );
      assert.equal(rows.filter(Boolean).length, 1);
    });

    describe('leases of refreshes', () => {
      const change = { sealedCredentials: Uint8Array.of(4), expiresAt: 7, dueAt: null, now: NOW + 1 };
      const lease = (holder: string, version = 1, lifeMs = 60_000) => ({ holder, version, lifeMs });

      async function insert(userId: string, overrides: Partial<NewConnection> = {}) {
        const connection = newConnection({ integration: 'leases', userId, ...overrides });
        await store.insertConnection(connection);
        return connection;
      }

      test('R1: one of many concurrent requests gets the lease, and only its holder may write', async () => {
        const key = await insert('race');
        const leases = await Promise.all(Array.from({ length: 12 }, (_, i) => store.leaseRefresh(key, lease(`h${i}`))));
        const winner = leases.findIndex(Boolean);
        assert.equal(leases.filter(Boolean).length, 1);
        assert.ok((leases[winner]?.refresh.leasedMs ?? 0) > 50_000);
        assert.equal(await store.updateCredentials(key, change, { version: 1, holder: `h${winner + 1}` }), undefined);
        const written = await store.updateCredentials(key, change, { version: 1, holder: `h${winner}` });
        assert.deepEqual([written?.version, written?.refresh.leasedMs], [2, null]);
        assert.equal(await store.updateCredentials(key, change, { version: 1, holder: `h${winner}` }), undefined);
      });

      test('R6: an expired lease is taken over, and its late holder can change nothing', async () => {
        const key = await insert('takeover');
        assert.equal((await store.leaseRefresh(key, lease('dead', 1, 0)))?.refresh.responseLost, false);
        assert.equal((await store.leaseRefresh(key, lease('next')))?.refresh.responseLost, true);
        assert.equal(await store.extendLease(key, { holder: 'dead', lifeMs: 60_000 }), false);
        await store.failRefresh(key, {
          holder: 'dead',
          retryInMs: 1_000,
          error: 'late',
          responseLost: false,
          refused: false,
          now: NOW,
        });
        const late = { reason: 'late', by: { version: 1, holder: 'dead' }, now: NOW };
        assert.equal(await store.markNeedsReconnect(key, late), undefined);
        assert.equal(await store.updateCredentials(key, change, { version: 1, holder: 'dead' }), undefined);
        assert.equal(await store.extendLease(key, { holder: 'next', lifeMs: 60_000 }), true);
        const written = await store.updateCredentials(key, change, { version: 1, holder: 'next' });
        assert.deepEqual(written?.refresh, {
          leasedMs: null,
          retryInMs: null,
          failures: 0,
          lastError: null,
          responseLost: false,
          refusals: 0,
          refusedForMs: null,
        });
      });

      test('R7: a reconnect or new credentials end a lease and have precedence over its write', async () => {
        const key = await insert('reconnect-wins');
        await store.leaseRefresh(key, lease('h'));
        assert.equal((await store.updateCredentials(key, change))?.version, 2);
        assert.equal(await store.updateCredentials(key, change, { version: 1, holder: 'h' }), undefined);
        assert.equal(await store.leaseRefresh(key, lease('h', 1)), undefined);
        assert.ok(await store.leaseRefresh(key, lease('h', 2)));
        await store.deleteConnection(key, NOW);
        assert.equal(await store.updateCredentials(key, change, { version: 2, holder: 'h' }), undefined);
      });

      test('R4: a failure is recorded and counted, and delays the next refresh', async () => {
        const key = await insert('fails', { dueAt: NOW });
        for (const failures of [1, 2]) {
          await store.leaseRefresh(key, lease('h'));
          await store.failRefresh(key, {
            holder: 'h',
            retryInMs: 60_000,
            error: 'down',
            responseLost: failures === 1,
            refused: false,
            now: NOW,
          });
          const { refresh } = (await store.findConnection(key)) ?? assert.fail();
          assert.ok((refresh.retryInMs ?? 0) > 50_000);
          const { leasedMs, failures: counted, lastError, responseLost } = refresh;
          assert.deepEqual([leasedMs, counted, lastError, responseLost], [null, failures, 'down', true]);
        }
      });

      test('R5: unexplained rejections are counted from the first one, for the current credentials', async () => {
        const key = await insert('refused');
        const refuse = async (version: number, refused = true) => {
          await store.leaseRefresh(key, lease('h', version));
          const failure = { retryInMs: 0, error: 'x', responseLost: false };
          await store.failRefresh(key, { ...failure, holder: 'h', refused, now: NOW });
          const { refresh } = (await store.findConnection(key)) ?? assert.fail();
          return [refresh.refusals, refresh.refusedForMs === null ? null : refresh.refusedForMs >= 0];
        };
        assert.deepEqual(await refuse(1, false), [0, null]);
        assert.deepEqual(await refuse(1), [1, true]);
        assert.deepEqual(await refuse(1, false), [1, true]);
        assert.deepEqual(await refuse(1), [2, true]);
        const refreshed = await store.updateCredentials(key, change);
        assert.deepEqual([refreshed?.refresh.refusals, refreshed?.refresh.refusedForMs], [0, null]);
        assert.deepEqual(await refuse(2), [1, true]);
      });

      test('R5: needs_reconnect is set by the holder, or anyone without one, and new credentials end it', async () => {
        const key = await insert('marked');
        const mark = (version: number, holder: string | null) =>
          store.markNeedsReconnect(key, { reason: 'gone', by: { version, holder }, now: NOW });
        assert.equal(await mark(9, null), undefined);
        await store.leaseRefresh(key, lease('h'));
        assert.equal(await mark(1, null), undefined);
        const marked = await mark(1, 'h');
        assert.deepEqual(
          [marked?.status, marked?.statusReason, marked?.refresh.leasedMs],
          ['needs_reconnect', 'gone', null],
        );
        assert.equal(await store.leaseRefresh(key, lease('h')), undefined);
        const refreshed = await store.updateCredentials(key, change);
        assert.deepEqual([refreshed?.status, refreshed?.statusReason], ['active', null]);
      });

      test('R9: due connections are found in order, unless leased, backing off, marked or put off', async () => {
        const due = async () =>
          (await store.dueConnections({ now: NOW, limit: 9, except: [] }))
            .map(({ userId }) => userId)
            .filter((id) => id.startsWith('due'));
        const dueAts = {
          'due-b': NOW - 1,
          'due-a': NOW - 2,
          'due-later': NOW + 1,
          'due-leased': NOW,
          'due-failed': NOW,
          'due-marked': NOW,
          'due-off': NOW,
        };
        const inserted = new Map<string, NewConnection>();
        for (const [userId, dueAt] of Object.entries(dueAts)) inserted.set(userId, await insert(userId, { dueAt }));
        const key = (userId: string) => inserted.get(userId) ?? assert.fail();
        await store.leaseRefresh(key('due-leased'), lease('h'));
        await store.leaseRefresh(key('due-failed'), lease('h'));
        await store.failRefresh(key('due-failed'), {
          holder: 'h',
          retryInMs: 60_000,
          error: 'x',
          responseLost: false,
          refused: false,
          now: NOW,
        });
        await store.markNeedsReconnect(key('due-marked'), { reason: 'x', by: { version: 1, holder: null }, now: NOW });
        await store.postponeRefresh(key('due-off'), NOW + 60_000);
        assert.deepEqual(await due(), ['due-a', 'due-b']);
      });
    });

    test('lists by user and by integration, in pages that neither repeat nor skip', async () => {
      const pairs = Array.from({ length: 25 }, (_, index) => ({
        integration: `list-${index % 3}`,
        userId: `u-${index % 7}-${index}`,
      }));
      for (const pair of pairs) await store.insertConnection(newConnection(pair));
      const seen: string[] = [];
      let after: ConnectionKey | undefined;
      for (;;) {
        const page = await store.listConnections({ integration: 'list-1', after, limit: 3 });
        seen.push(...page.map((row) => row.userId));
        after = page.at(-1);
        if (page.length < 3) break;
      }
      assert.deepEqual(
        seen.toSorted(),
        pairs
          .filter(({ integration }) => integration === 'list-1')
          .map(({ userId }) => userId)
          .toSorted(),
      );
      assert.deepEqual(
        (await store.listConnections({ userId: 'u-0-0', limit: 9 })).map((row) => row.integration),
        ['list-0'],
      );
      assert.deepEqual(await store.listConnections({ userId: 'nobody', limit: 9 }), []);
    });

    test('S7: hostile names are stored as data', async () => {
      const userId = `'; drop table connections; --`;
      const connection = newConnection({ userId });
      await store.insertConnection(connection);
      assert.equal((await store.listConnections({ userId, limit: 9 })).length, 1);
      const always = `' or '1'='1`;
      const hostile = { integration: always, userId: always, account: always, id: always };
      assert.equal(await store.deleteConnection(hostile, NOW), false);
      assert.equal(await store.deleteConnection(connection, NOW), true);
      assert.equal(await store.deleteConnection(connection, NOW), false);
    });

    const attempt = (attemptHash: string) => ({
      attemptHash,
      integration: 'acme',
      userId: attemptHash,
      account: 'default',
      origin: 'http://localhost',
      nonceHash: null,
      additionalConfig: null,
      tags: null,
      options: null,
      sessionHash: null,
      sealedSecrets: null,
      now: NOW,
      expiresAt: NOW + 10,
      dueAt: null,
    });
    const begin = (stateHash: string) => ({ stateHash, browserHash: 'b', sealedSecrets: Uint8Array.of(5), now: NOW });

    test('D7: a user keeps the newest twenty attempts, and other users keep theirs', async () => {
      await store.insertAttempt({ ...attempt('of another'), userId: 'other' });
      for (let count = 0; count < 60; count += 1)
        await store.insertAttempt({ ...attempt(`many ${count}`), userId: 'many', now: NOW + count });
      const left = await Promise.all(Array.from({ length: 60 }, (_, count) => store.findAttempt(`many ${count}`)));
      assert.deepEqual(
        left.map((row) => row !== undefined),
        Array.from({ length: 60 }, (_, count) => count >= 40),
      );
      assert.ok(await store.findAttempt('of another'));
    });

    test('F3: an attempt begins once and is taken once despite concurrent requests', async () => {
      await store.insertAttempt(attempt('once'));
      const begun = await Promise.all([
        store.beginAttempt('once', begin('s1')),
        store.beginAttempt('once', begin('s2')),
      ]);
      assert.equal(begun.filter(Boolean).length, 1);
      const state = begun[0] ? 's1' : 's2';
      const taken = await Promise.all(Array.from({ length: 8 }, () => store.takeAttempt(state, NOW)));
      assert.equal(taken.filter(Boolean).length, 1);
      assert.deepEqual([...(taken.find(Boolean)?.sealedSecrets ?? [])], [5]);
    });

    test('F4: an expired attempt neither begins nor ends', async () => {
      await store.insertAttempt(attempt('late'));
      assert.equal(await store.beginAttempt('late', { ...begin('late'), now: NOW + 10 }), undefined);
      assert.ok(await store.beginAttempt('late', begin('late')));
      assert.equal(await store.takeAttempt('late', NOW + 10), undefined);
    });

    test('completing stores the connection and ends the attempt at once, and a reconnect keeps its uuid', async () => {
      await store.insertAttempt(attempt('done'));
      const key = keyOf('done');
      const first = await store.completeAttempt('done', newConnection({ ...key, additionalConfig: '{"region":"eu"}' }));
      assert.equal((await store.findAttempt('done'))?.status, 'succeeded');
      assert.ok(first);
      await store.markNeedsReconnect(first, { reason: 'gone', by: { version: 1, holder: null }, now: NOW });
      const second = await store.completeAttempt(
        'done',
        newConnection({ ...key, additionalConfig: null, seal: () => Uint8Array.of(8), now: NOW + 50 }),
      );
      assert.ok(second);
      assert.deepEqual(
        [second.id, second.additionalConfig, second.status, second.version, second.createdAt],
        [first.id, '{"region":"eu"}', 'active', 2, NOW],
      );
      assert.deepEqual([...second.sealedCredentials], [8]);
    });

    test('a connection that may not be replaced stays, and the attempt goes on', async () => {
      const key = keyOf('identity');
      const identity = { user: 'u1', workspace: 'w1', name: 'ada@example.com' };
      const grant = { requestedScopes: '["a","b"]', grantedScopes: '["a"]', identity };
      await store.insertConnection(newConnection({ ...key, grant }));
      await store.insertAttempt(attempt('identity'));
      const seen: unknown[] = [];
      const other = newConnection({ ...key, seal: () => Uint8Array.of(9) });
      const refused = await store.completeAttempt('identity', other, (earlier) => (seen.push(earlier), false));
      assert.equal(refused, undefined);
      assert.deepEqual(seen, [identity]);
      assert.equal((await store.findAttempt('identity'))?.status, 'created');
      const kept = await store.findConnection(key);
      assert.deepEqual([kept?.version, kept?.requestedScopes, kept?.grantedScopes], [1, '["a","b"]', '["a"]']);
      assert.deepEqual(kept?.identity, identity);
      assert.deepEqual(
        (await store.listConnections({ identity: 'u1', limit: 10 })).map(({ id }) => id),
        [kept?.id],
      );
      // Credentials of which the provider says nothing end what was known.
      const replaced = await store.completeAttempt('identity', other, () => true);
      assert.deepEqual([replaced?.identity, replaced?.grantedScopes], [null, null]);
    });

    test('an ended attempt holds no secrets, and a success cannot fail later', async () => {
      await store.insertAttempt(attempt('failed'));
      await store.beginAttempt('failed', begin('failed'));
      await store.failAttempt('failed', { type: 't', message: 'm' });
      const failed = await store.findAttempt('failed');
      assert.deepEqual(
        [failed?.status, failed?.errorType, failed?.errorMessage, failed?.sealedSecrets],
        ['failed', 't', 'm', null],
      );
      await store.insertAttempt(attempt('won'));
      await store.completeAttempt('won', newConnection({ userId: 'won' }));
      await store.failAttempt('won', { type: 't', message: 'm' });
      assert.equal((await store.findAttempt('won'))?.status, 'succeeded');
    });

    test('connect sessions expire', async () => {
      await store.insertSession({
        tokenHash: 'h',
        userId: '1',
        account: 'default',
        tags: null,
        integrations: '["a"]',
        origin: null,
        options: null,
        sealedClient: null,
        linkHash: null,
        tokenExpiresAt: null,
        expiresAt: NOW + 10,
      });
      assert.equal((await store.findSession('h', NOW))?.integrations, '["a"]');
      assert.equal(await store.findSession('h', NOW + 10), undefined);
    });

    test('a server is live from its record until the record is old or removed', async () => {
      const place = { host: 'h', pid: 7, version: '1' };
      const names = async (withinMs: number) => (await store.liveServers(withinMs)).map(({ name }) => name);
      await store.recordServer({ id: 'a', name: 'host a', keyIds: ['k1'], place });
      await store.recordServer({ id: 'a', name: 'host a', keyIds: ['k2', 'k1'], place });
      await store.recordServer({ id: 'b', name: 'host b', keyIds: [], place });
      assert.deepEqual(await store.liveServers(60_000), [
        { name: 'host a', keyIds: ['k2', 'k1'], place, isCurrent: true },
        { name: 'host b', keyIds: [], place, isCurrent: true },
      ]);
      assert.deepEqual(await names(-60_000), []);
      await store.removeServer('a');
      assert.deepEqual(await names(60_000), ['host b']);
    });

    test('does not call a value that it cannot read an unavailable database', async () => {
      await kind.execute(
        `insert into servers (id, name, key_ids, seen_at)
          values ('damaged', 'damaged', 'no JSON', ${Date.now() + 60_000})`,
      );
      await assert.rejects(store.liveServers(60_000), SyntaxError);
      await kind.execute(`update servers set key_ids = '{}' where id = 'damaged'`);
      await assert.rejects(store.liveServers(60_000), { name: 'ZodError' });
      await store.removeServer('damaged');
    });

    test('calls a statement that the database rejects an unavailable database', async () => {
      await kind.execute('alter table servers rename to elsewhere');
      await assert.rejects(store.liveServers(60_000), {
        code: 'store_unavailable',
        message:
          /^The database \((SQLite|PostgreSQL), .*\) cannot be reached or written: .*servers.*\. Check that it runs/,
      });
      await kind.execute('alter table elsewhere rename to servers');
    });

    test('the first key check is kept', async () => {
      assert.deepEqual([...(await store.keyCheck(Uint8Array.of(1)))], [1]);
      assert.deepEqual([...(await store.keyCheck(Uint8Array.of(2)))], [1]);
    });
  });
}

test('S6: only the owner can read the SQLite file and its companions', async (t) => {
  const file = join(temporaryFolder(t), 'data', 'nango.db');
  const store = openSqliteStore(file);
  await store.migrate();
  for (const path of [file, `${file}-wal`, `${file}-shm`]) assert.equal(statSync(path).mode & 0o777, 0o600, path);
  assert.equal(statSync(join(file, '..')).mode & 0o777, 0o700);
  await store.close();
});

test('S5: a database of a newer version is rejected', async (t) => {
  const postgres: TestPostgres = await startPostgres(t);
  const url = await postgres.createDatabase();
  const store = openPostgresStore(secret(url));
  await store.migrate();
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }) });
  await sql`insert into nango_migrations values ('9999-future', 0)`.execute(db);
  await db.destroy();
  await assert.rejects(store.migrate(), { code: 'schema_too_new', message: /9999-future/ });
  await store.close();
});

test('S4: without the database every call is store_unavailable, and the store recovers by itself', async (t) => {
  if (process.env['DATABASE_URL']) return t.skip('the server of DATABASE_URL is not stopped');
  const postgres = await startPostgres(t);
  const store = openPostgresStore(secret(await postgres.createDatabase()));
  await store.migrate();
  await store.insertConnection(newConnection());
  await postgres.stop();
  await assert.rejects(store.findConnection(keyOf('1')), {
    code: 'store_unavailable',
    retryAfter: 1,
  });
  await postgres.start();
  assert.ok(await store.findConnection(keyOf('1')));
  await store.close();
});

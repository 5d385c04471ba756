import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { ConnectionIdentity, NewConnection, Store } from '../../packages/server/src/store/store.ts';
import { STORE_KINDS } from '../support/store-kinds.ts';
import { createCleanup } from '../support/temporary-folder.ts';

const NOW = 1_800_000_000_000;
const change = { sealedCredentials: Uint8Array.of(2), expiresAt: null, dueAt: null, now: NOW };

for (const { name, setUp } of STORE_KINDS) {
  describe(name, () => {
    let store: Store;
    let other: Store;
    let openAnother: () => Store;
    const cleanup = createCleanup();

    before(async () => {
      const { open } = await setUp(cleanup);
      store = open();
      // SQLite waits by blocking the process, so two connections in one process would wait for ever.
      other = name === 'SQLite' ? store : open();
      openAnother = open;
      await store.migrate();
    });
    after(async () => {
      await Promise.all([...new Set([store, other])].map((opened) => opened.close()));
      await cleanup.run();
    });

    const connection = (userId: string): NewConnection => ({
      integration: 'acme',
      userId,
      account: 'default',
      id: randomUUID(),
      authMode: 'OAUTH2',
      seal: () => Uint8Array.of(1),
      additionalConfig: null,
      tags: null,
      expiresAt: null,
      dueAt: null,
      now: NOW,
    });
    const publish = (webhooks: readonly string[] = [], from = store) =>
      from.publishEvents({ limit: 1000, webhooksOf: () => webhooks });
    const eventsOf = async (key: ConnectionIdentity) =>
      (await store.listEvents({ after: 0, limit: 10_000 })).filter(
        ({ data }) => (JSON.parse(data) as { userId: string }).userId === key.userId,
      );
    const typesOf = async (key: ConnectionIdentity) => {
      await publish();
      return (await eventsOf(key)).map(({ type }) => type.replace('connection.', ''));
    };
    const refresh = async (key: ConnectionIdentity, version: number) => {
      const holder = randomUUID();
      await store.leaseRefresh(key, { holder, version, lifeMs: 60_000 });
      return store.updateCredentials(key, change, { version, holder });
    };
    const fail = async (key: ConnectionIdentity, version: number) => {
      const holder = randomUUID();
      await store.leaseRefresh(key, { holder, version, lifeMs: 60_000 });
      await store.failRefresh(key, {
        holder,
        retryInMs: 0,
        error: 'down',
        responseLost: false,
        refused: false,
        now: NOW,
      });
    };

    test('the events of a connection are recorded in order and once each', async () => {
      const key = connection('life');
      await store.insertConnection(key);
      await store.insertConnection(connection('life'));
      await refresh(key, 1);
      await fail(key, 2);
      await fail(key, 2);
      await refresh(key, 2);
      await store.markNeedsReconnect(key, { reason: 'revoked', by: { version: 3, holder: null }, now: NOW });
      await store.markNeedsReconnect(key, { reason: 'again', by: { version: 3, holder: null }, now: NOW });
      await store.completeAttempt('none', connection('life'));
      await store.updateCredentials(key, change);
      await store.updateConfig(key, '{}', NOW);
      await store.deleteConnection(key, NOW);
      await store.deleteConnection(key, NOW);
      await store.completeAttempt('none', connection('life'));
      assert.deepEqual(await typesOf(key), [
        'created',
        'refreshed',
        'refresh_failed',
        'refreshed',
        'recovered',
        'needs_reconnect',
        'reconnected',
        'recovered',
        'reconnected',
        'deleted',
        'created',
      ]);
      const failed = (await eventsOf(key)).find(({ type }) => type === 'connection.refresh_failed');
      assert.deepEqual(JSON.parse(failed?.data ?? ''), {
        id: key.id,
        uuid: key.id,
        integration: 'acme',
        userId: 'life',
        account: 'default',
        identity: null,
        tags: {},
        authMode: 'OAUTH2',
        status: 'active',
        statusReason: null,
        error: 'down',
      });
    });

    test('a write that loses, or changes nothing, records no event', async () => {
      const key = connection('loser');
      await store.insertConnection(key);
      await store.updateCredentials(key, change, { version: 7, holder: 'nobody' });
      await store.failRefresh(key, {
        holder: 'nobody',
        retryInMs: 0,
        error: 'x',
        responseLost: false,
        refused: false,
        now: NOW,
      });
      await store.markNeedsReconnect(key, { reason: 'x', by: { version: 7, holder: null }, now: NOW });
      await store.updateCredentials(connection('absent'), change);
      assert.deepEqual(await typesOf(key), ['created']);
    });

    test('positions are complete and unique while many writers and publishers work at once', async () => {
      await publish();
      const start = (await store.listEvents({ after: 0, limit: 10_000 })).at(-1)?.position ?? 0;
      const write = (from: Store, prefix: string) =>
        Promise.all(Array.from({ length: 40 }, (_, index) => from.insertConnection(connection(`${prefix}${index}`))));
      const seen: string[] = [];
      let cursor = start;
      const writing = { done: false };
      const reading = (async () => {
        for (let last = false; !last;) {
          last = writing.done;
          await Promise.all([publish([], store), publish([], other)]);
          const page = await store.listEvents({ after: cursor, limit: 7 });
          seen.push(...page.map(({ id }) => id));
          cursor = page.at(-1)?.position ?? cursor;
          last = last && page.length === 0;
        }
      })();
      await Promise.all([write(store, 'a'), write(other, 'b')]);
      writing.done = true;
      await reading;
      assert.equal(seen.length, 80);
      assert.equal(new Set(seen).size, 80);
    });

    test('a webhook gets a connection’s events one by one, and other connections’ events meanwhile', async () => {
      const [one, two] = [connection('one'), connection('two')];
      await publish();
      await store.insertConnection(one);
      await store.updateCredentials(one, change);
      await store.insertConnection(two);
      await publish(['hook']);
      const due = await store.dueStreams({ webhooks: ['hook'], limit: 10 });
      assert.deepEqual(due.map((stream) => stream.connection).sort(), [one.id, two.id].sort());
      const stream = { webhook: 'hook', connection: one.id };
      const first = (await store.claimDelivery(stream, { claim: 'a', lifeMs: 60_000 })) ?? assert.fail();
      assert.deepEqual([first.event.type, first.attempts], ['connection.created', 1]);
      assert.equal(await other.claimDelivery(stream, { claim: 'b', lifeMs: 60_000 }), undefined);
      await store.retryDelivery(first, 0);
      const again = (await other.claimDelivery(stream, { claim: 'c', lifeMs: 60_000 })) ?? assert.fail();
      assert.deepEqual([again.event.id, again.attempts], [first.event.id, 2]);
      // The late holder’s result has no effect any more.
      await store.retryDelivery(first, 0);
      assert.equal(await store.claimDelivery(stream, { claim: 'd', lifeMs: 60_000 }), undefined);
      await other.endDelivery(again);
      const second = (await store.claimDelivery(stream, { claim: 'e', lifeMs: 60_000 })) ?? assert.fail();
      assert.deepEqual([second.event.type, second.attempts], ['connection.reconnected', 1]);
      await store.endDelivery(second);
      assert.deepEqual(
        (await store.dueStreams({ webhooks: ['hook', 'none'], limit: 10 })).map(({ connection }) => connection),
        [two.id],
      );
    });

    test('a claim whose holder died is taken over', async () => {
      const key = connection('died');
      await store.insertConnection(key);
      await publish(['died']);
      const stream = { webhook: 'died', connection: key.id };
      await store.claimDelivery(stream, { claim: 'dead', lifeMs: 0 });
      assert.equal((await store.claimDelivery(stream, { claim: 'next', lifeMs: 60_000 }))?.attempts, 2);
    });

    test('the last delivery leaves nothing behind if it ends while more events are published', async () => {
      const key = connection('race');
      const stream = { webhook: 'race', connection: key.id };
      await store.insertConnection(key);
      await publish(['race']);
      for (let round = 0; round < 30; round += 1) {
        const delivery = (await store.claimDelivery(stream, { claim: randomUUID(), lifeMs: 60_000 })) ?? assert.fail();
        await other.updateCredentials(key, change);
        await Promise.all([store.endDelivery(delivery), publish(['race'], other)]);
        assert.equal((await store.dueStreams({ webhooks: ['race'], limit: 10 })).length, 1);
      }
    });

    test('a dead delivery is listed, delays none behind it, and can be replayed', async () => {
      const key = connection('dead');
      const stream = { webhook: 'dead', connection: key.id };
      await store.insertConnection(key);
      await store.updateCredentials(key, change);
      await publish(['dead']);
      const claim = async () =>
        (await store.claimDelivery(stream, { claim: randomUUID(), lifeMs: 60_000 })) ?? assert.fail();
      const first = await claim();
      await store.endDelivery(first, 'It responded with status 500.');
      await store.endDelivery(await claim());
      const dead = await store.listDeadDeliveries({ after: undefined, limit: 10 });
      assert.deepEqual(
        dead.map(({ webhook, error, event }) => [webhook, error, event.id]),
        [['dead', 'It responded with status 500.', first.event.id]],
      );
      const after = { position: first.event.position, webhook: 'dead' };
      assert.deepEqual(await store.listDeadDeliveries({ after, limit: 10 }), []);
      assert.equal(await store.replayDeliveries({ webhook: 'other' }), 0);
      assert.equal(await store.replayDeliveries({ webhook: 'dead', eventId: 'evt_unknown' }), 0);
      assert.equal(await store.replayDeliveries({ webhook: 'dead', eventId: first.event.id }), 1);
      assert.equal((await claim()).event.id, first.event.id);
    });

    test('old events are removed in steps, with their deliveries', async () => {
      const key = { ...connection('old'), now: NOW - 1_000_000 };
      for (let count = 0; count < 5; count += 1) {
        const connection = { ...key, id: randomUUID() };
        await store.insertConnection(connection);
        await store.deleteConnection(connection, NOW - 1_000_000);
      }
      await publish(['old']);
      const limits = { eventsBefore: NOW - 500_000, now: NOW, limit: 4 };
      const steps = [await store.prune(limits), await store.prune(limits), await store.prune(limits)];
      assert.deepEqual(steps, [4, 4, 2]);
      assert.equal(await store.prune(limits), 0);
      for (const stream of await store.dueStreams({ webhooks: ['old'], limit: 100 }))
        assert.equal(await store.claimDelivery(stream, { claim: 'x', lifeMs: 0 }), undefined);
      assert.deepEqual(await store.dueStreams({ webhooks: ['old'], limit: 100 }), []);
    });

    test('this server and other servers are notified of changes', async () => {
      const heard: Record<'here' | 'there', (string | undefined)[]> = { here: [], there: [] };
      const waiting = Promise.withResolvers<void>();
      const key = connection('heard');
      const another = openAnother();
      const here = store.watchConnections((uuid) => heard.here.push(uuid));
      const there = another.watchConnections((uuid) => {
        heard.there.push(uuid);
        if (uuid === key.id) waiting.resolve();
      });
      await confirmed(there);
      await store.insertConnection(key);
      assert.ok(heard.here.includes(key.id));
      // SQLite has no channel: who asks whether all is confirmed is told that something changed.
      if (name === 'SQLite') {
        const before = heard.there.length;
        while (heard.there.length === before) there.confirmedAt();
        assert.deepEqual(heard.there.slice(before), [undefined]);
      } else await waiting.promise;
      await Promise.all([here.close(), there.close()]);
      await another.close();
    });
  });
}

async function confirmed(watch: { confirmedAt: () => number }): Promise<void> {
  while (watch.confirmedAt() === 0) await new Promise((resolve) => setImmediate(resolve));
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { openPostgresStore } from '../packages/server/src/store/postgres.ts';
import type { NewConnection, Store } from '../packages/server/src/store/store.ts';
import { Secret } from '../packages/server/src/vault/secret.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { createCleanup } from '../test/support/temporary-folder.ts';

// Shows which statements of the store touch only one shard if connections are distributed by user_id. The hash
// partitions of PostgreSQL stand for shards. The query plans are written to bench/plans/partitioned.txt.
const PARTITIONS = 8;
const CONNECTIONS = 20_000;
const NOW = 1_800_000_000_000;

interface Sent {
  readonly text: string;
  readonly values: readonly unknown[];
}

const sent: Sent[] = [];
let original: ((...parameters: unknown[]) => unknown) | undefined;
const cleanup = createCleanup();
try {
  const url = await (await startPostgres(cleanup)).createDatabase();
  const store = openPostgresStore(new Secret(url));
  cleanup.after(() => store.close());
  await store.migrate();
  const client = new pg.Client(url);
  await client.connect();
  cleanup.after(() => client.end());
  await distribute(client);
  const report: string[] = [];
  for (const [name, operation] of Object.entries(operations(store))) {
    record(true);
    await operation();
    record(false);
    for (const statement of sent.splice(0).filter(({ text }) => /"connections"/.test(text)))
      report.push(await explain(client, name, statement));
  }
  const summary = report.map((part) => part.split('\n', 1)[0] ?? '');
  process.stdout.write(`${summary.join('\n')}\n`);
  writeFileSync(join(import.meta.dirname, 'plans/partitioned.txt'), `${report.join('\n\n')}\n`);
} finally {
  await cleanup.run();
}

/** Turns `connections` into a table of hash partitions, like the shards of a distributed database. */
async function distribute(client: pg.Client): Promise<void> {
  await client.query(`
    alter table connections rename to plain;
    create table connections (like plain including defaults, primary key (integration, user_id, account))
      partition by hash (user_id);
    create index on connections (uuid);
    create index on connections (user_id, integration);
    create index on connections (due_at, integration, user_id) where due_at is not null and status = 'active';
    drop table plain`);
  for (let index = 0; index < PARTITIONS; index += 1)
    await client.query(
      `create table connections_${index} partition of connections
       for values with (modulus ${PARTITIONS}, remainder ${index})`,
    );
  await client.query(
    `insert into connections (integration, user_id, uuid, auth_mode, sealed_credentials, additional_config, status,
       due_at, version, created_at, updated_at)
     select 'acme', 'user-' || i, gen_random_uuid()::text, 'OAUTH2', '\\x00', '{}', 'active',
       ${NOW}::bigint + i, 1, 0, 0
     from generate_series(1, ${CONNECTIONS}) i`,
  );
  await client.query('vacuum analyze connections');
}

function operations(store: Store): Record<string, () => Promise<unknown>> {
  const key = { integration: 'acme', userId: 'user-7', account: 'default', id: crypto.randomUUID() };
  const change = { sealedCredentials: Uint8Array.of(1), expiresAt: null, dueAt: NOW, now: NOW };
  const connection: NewConnection = {
    ...key,
    ...change,
    seal: () => change.sealedCredentials,
    authMode: 'OAUTH2',
    additionalConfig: null,
    tags: null,
  };
  const failure = { holder: 'h', retryInMs: 1, error: 'x', responseLost: false, refused: false, now: NOW };
  return {
    'read a connection': () => store.findConnection(key),
    'read by the id alone': () => store.findConnectionById(key.id),
    'register a connection': () => store.insertConnection({ ...connection, userId: 'new' }),
    'connect or reconnect': () => store.completeAttempt('none', connection),
    'take a lease': () => store.leaseRefresh(key, { holder: 'h', version: 2, lifeMs: 60_000 }),
    'extend a lease': () => store.extendLease(key, { holder: 'h', lifeMs: 60_000 }),
    'store refreshed tokens': () => store.updateCredentials(key, change, { version: 2, holder: 'h' }),
    'note a failure': () => store.failRefresh(key, failure),
    'mark needs_reconnect': () =>
      store.markNeedsReconnect(key, { reason: 'x', by: { version: 3, holder: null }, now: NOW }),
    'change additionalConfig': () => store.updateConfig(key, '{}', NOW),
    'put a refresh off': () => store.postponeRefresh(key, NOW),
    'delete a connection': () => store.deleteConnection(key, NOW),
    'list by user': () => store.listConnections({ userId: 'user-8', limit: 100 }),
    'list by integration': () => store.listConnections({ integration: 'acme', limit: 100 }),
    'find what is due': () => store.dueConnections({ now: NOW + 50, limit: 100, except: [] }),
  };
}

/** Starts or stops recording the statements that the store sends, with their values. */
function record(isOn: boolean): void {
  const { prototype } = pg.Client as unknown as { prototype: { query: (...parameters: unknown[]) => unknown } };
  original ??= prototype.query;
  const send = original;
  prototype.query = isOn
    ? function query(this: unknown, ...parameters: unknown[]) {
        const [text, values] = parameters;
        if (typeof text === 'string') sent.push({ text, values: Array.isArray(values) ? values : [] });
        return Reflect.apply(send, this, parameters);
      }
    : send;
}

async function explain(client: pg.Client, name: string, { text, values }: Sent): Promise<string> {
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (costs off) ${text}`, [...values]);
  const plan = rows.map((row) => row['QUERY PLAN']);
  const touched = new Set([...plan.join('\n').matchAll(/ on (connections_\d+)/g)].map(([, partition]) => partition));
  // The plan of an insert names no partition, but its one row belongs to one partition.
  const count = Math.max(touched.size, 1);
  const verb = text.split(' ', 1)[0] ?? '';
  return `-- ${name} (${verb}): ${count} of ${PARTITIONS} partitions\n${plan.join('\n')}`;
}

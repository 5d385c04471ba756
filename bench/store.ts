import { rmSync, mkdtempSync, writeFileSync, mkdirSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { openPostgresStore } from '../packages/server/src/store/postgres.ts';
import { openSqliteStore } from '../packages/server/src/store/sqlite.ts';
import type { ConnectionKey, NewConnection, Store } from '../packages/server/src/store/store.ts';
import { Secret } from '../packages/server/src/vault/secret.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { createCleanup } from '../test/support/temporary-folder.ts';

// Measures how the time of each store operation grows from 1,000 connections to many more, on both databases. The
// figures are medians. --plans also writes the query plans at the largest size to bench/plans/.
const MAX_GROWTH = 1.5;
const SMALL = 1_000;
const DUE = 200;
const ROUNDS = 400;
const NOW = 1_800_000_000_000;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '1000000' },
    plans: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write('npm run bench:store -- [--connections 1000000] [--plans]\n');
  process.exit(0);
}
const large = Number(values.connections);

const COLUMNS =
  'integration, user_id, uuid, auth_mode, sealed_credentials, additional_config, status, ' +
  'expires_at, due_at, version, created_at, updated_at';
const PLANS = {
  'point read': `select * from connections where integration = 'acme' and user_id = 'user-7'`,
  'due scan':
    `select integration, user_id from connections where due_at <= ${NOW} and due_at is not null and status = 'active'` +
    ` and (retry_at is null or retry_at <= ${NOW}) and (lease_holder is null or lease_expires_at <= ${NOW})` +
    ` order by due_at limit 100`,
  'list page':
    `select * from connections where integration = 'acme' and user_id > 'user-7'` +
    ` order by integration, user_id limit 100`,
};

/** A database under measurement. */
interface Subject {
  readonly name: string;
  readonly store: Store;
  /** Adds the connections from one index up to another. Those below the index DUE are due. */
  readonly fill: (from: number, to: number) => Promise<void>;
  readonly explain: (statement: string) => Promise<string>;
}

const cleanup = createCleanup();
let missed = false;
try {
  await measure(await sqlite(), await sqlite());
  await measure(await postgres(), await postgres());
} finally {
  await cleanup.run();
}
process.exitCode = missed ? 1 : 0;

/** Measures both sizes in turn, so that other work of this machine slows both equally. */
async function measure(small: Subject, big: Subject): Promise<void> {
  for (const [{ store, fill }, count] of [
    [small, SMALL],
    [big, large],
  ] as const) {
    await store.migrate();
    await fill(0, count);
  }
  process.stdout.write(`${small.name}, ${SMALL} → ${large} connections, medians of ${ROUNDS}\n`);
  const [few, many] = [operations(small.store, SMALL), operations(big.store, large)];
  for (const [operation, run] of Object.entries(few)) {
    const [before, after] = await medians(run, many[operation] ?? run);
    const growth = after / before;
    missed ||= growth > MAX_GROWTH;
    const verdict = growth > MAX_GROWTH ? 'MISSED' : 'met';
    process.stdout.write(
      `  ${operation.padEnd(12)} ${before.toFixed(0).padStart(6)} µs → ${after.toFixed(0).padStart(6)} µs` +
        `   growth ${growth.toFixed(2)}   bar ${MAX_GROWTH}: ${verdict}\n`,
    );
  }
  if (values.plans) await writePlans(big.name, big.explain);
  await Promise.all([small.store.close(), big.store.close()]);
}

function operations(store: Store, count: number): Record<string, () => Promise<unknown>> {
  const any = () => ({ integration: 'acme', userId: `user-${Math.floor(Math.random() * count)}`, account: 'default' });
  return {
    'point read': () => store.findConnection(any()),
    upsert: () => store.completeAttempt('none', newConnection(any())),
    'due scan': () => store.dueConnections({ now: NOW, limit: 100, except: [] }),
    'list page': () => store.listConnections({ integration: 'acme', after: any(), limit: 100 }),
  };
}

async function medians(...runs: (() => Promise<unknown>)[]): Promise<[number, number]> {
  const taken = runs.map((): number[] => []);
  for (let round = -ROUNDS / 4; round < ROUNDS; round += 1) {
    for (const [index, run] of runs.entries()) {
      const started = performance.now();
      await run();
      if (round >= 0) taken[index]?.push((performance.now() - started) * 1000);
    }
  }
  const [first = Number.NaN, second = Number.NaN] = taken.map(
    (all) => all.toSorted((a, b) => a - b)[ROUNDS / 2] ?? Number.NaN,
  );
  return [first, second];
}

function newConnection(key: ConnectionKey): NewConnection {
  const sealed = randomBytes(400);
  const times = { expiresAt: NOW + 3_600_000, dueAt: NOW + 3_000_000, now: NOW };
  return {
    ...key,
    id: crypto.randomUUID(),
    authMode: 'OAUTH2',
    seal: () => sealed,
    additionalConfig: null,
    tags: null,
    ...times,
  };
}

async function writePlans(name: string, explain: Subject['explain']): Promise<void> {
  const folder = join(import.meta.dirname, 'plans');
  mkdirSync(folder, { recursive: true });
  const parts: string[] = [];
  for (const [operation, statement] of Object.entries(PLANS))
    parts.push(`-- ${operation}, ${large} connections\n${statement};\n\n${await explain(statement)}\n`);
  writeFileSync(join(folder, `${name.toLowerCase()}.txt`), parts.join('\n'));
}

async function sqlite(): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), 'nango-bench-'));
  cleanup.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'nango.db');
  const store = openSqliteStore(file, () => NOW);
  const database = new DatabaseSync(file, { timeout: 5_000 });
  cleanup.after(() => database.close());
  return {
    name: 'SQLite',
    store,
    async fill(from, to) {
      database.exec(`with recursive n(i) as (select ${from} union all select i + 1 from n where i + 1 < ${to})
        insert into connections (${COLUMNS})
        select 'acme', 'user-' || i, lower(hex(randomblob(16))), 'OAUTH2', randomblob(400), '{}', 'active',
        ${NOW} + 3600000, case when i < ${DUE} then ${NOW} - 1 else ${NOW} + 3000000 + i end, 1,
        ${NOW}, ${NOW} from n; analyze`);
    },
    explain: async (statement) =>
      database
        .prepare(`explain query plan ${statement}`)
        .all()
        .map((row) => String(row['detail']))
        .join('\n'),
  };
}

async function postgres(): Promise<Subject> {
  const server = await startPostgres(cleanup);
  const url = await server.createDatabase();
  const client = new pg.Client(url);
  await client.connect();
  cleanup.after(() => client.end());
  return {
    name: 'PostgreSQL',
    store: openPostgresStore(new Secret(url)),
    async fill(from, to) {
      await client.query(`insert into connections (${COLUMNS})
        select 'acme', 'user-' || i, gen_random_uuid()::text, 'OAUTH2', decode(repeat(md5(i::text), 25), 'hex'), '{}',
        'active', ${NOW} + 3600000, case when i < ${DUE} then ${NOW} - 1 else ${NOW}::bigint + 3000000 + i end, 1,
        ${NOW}, ${NOW} from generate_series(${from}, ${to - 1}) i`);
      await client.query('vacuum analyze connections');
    },
    async explain(statement) {
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (costs off) ${statement}`);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    },
  };
}

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import pg from 'pg';
import { startTestServer, type TestServer } from '../support/nango-server.ts';
import { startPostgres } from '../support/postgres.ts';

const MANY = 3_000;
const MAX_PAGE = 200;
const INTEGRATIONS = `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/', headers: { X-Key: '\${api_key}' } }
  other:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/', headers: { X-Key: '\${api_key}' } }
`;
const NUMBERS = `with recursive numbers(i) as (select 1 union all select i + 1 from numbers where i < ${MANY})`;
const CONNECTIONS = `${NUMBERS} insert into connections
  (integration, user_id, uuid, auth_mode, sealed_credentials, additional_config, status, version, created_at,
   updated_at)
  select 'acme', 'user-' || (10000000 + i), (10000000 + i) || '-0000-4000-8000-000000000000', auth_mode,
    sealed_credentials, additional_config, status, version, created_at, updated_at
  from connections, numbers where user_id = 'first'`;
const EVENTS = `${NUMBERS} insert into events (id, type, connection, data, created_at)
  select 'evt_' || (10000000 + i), type, connection, data, created_at
  from events, numbers where events.id = (select min(id) from events)`;
const DEAD_DELIVERIES = `insert into webhook_deliveries (webhook, position, connection, state, error)
  select 'gone', position, connection, 'dead', 'HTTP 500' from events`;

interface Subject {
  readonly server: TestServer;
  /** Runs a statement on the server's database. */
  readonly execute: (statement: string) => Promise<void>;
}

async function startOnSqlite(t: TestContext): Promise<Subject> {
  const server = await startTestServer(t, { integrations: INTEGRATIONS });
  return {
    server,
    execute: async (statement) => {
      const database = new DatabaseSync(join(server.dataDirectory, 'nango.db'), { timeout: 5_000 });
      database.exec(statement);
      database.close();
    },
  };
}

async function startOnPostgres(t: TestContext): Promise<Subject> {
  const databaseUrl = await (await startPostgres(t)).createDatabase();
  const server = await startTestServer(t, { integrations: INTEGRATIONS, databaseUrl });
  return {
    server,
    execute: async (statement) => {
      const client = new pg.Client(databaseUrl);
      await client.connect();
      await client.query(statement);
      await client.end();
    },
  };
}

interface Page {
  readonly [items: string]: unknown;
  readonly nextCursor: string | null;
  readonly hasMore?: boolean;
}

/** The pages of a list. Each page is requested only after the previous page was read. */
async function* pagesOf(server: TestServer, path: string): AsyncGenerator<Page, void> {
  for (let cursor: string | undefined; ;) {
    const { status, body } = await server.api('GET', cursor === undefined ? path : `${path}&cursor=${cursor}`);
    assert.equal(status, 200);
    const page = body as Page;
    yield page;
    if (page.nextCursor === null || page.hasMore === false) return;
    cursor = page.nextCursor;
  }
}

const usersOf = ({ connections }: Page) => (connections as { userId: string }[]).map(({ userId }) => userId);

for (const [database, start] of [
  ['SQLite', startOnSqlite],
  ['PostgreSQL', startOnPostgres],
] as const)
  test(`A5: long lists come in bounded pages, each item once, despite concurrent changes (${database})`, async (t) => {
    const { server, execute } = await start(t);
    const { nango } = server;
    await nango.registerConnection('acme', 'first', { api_key: 'k' });
    await execute(CONNECTIONS);
    for (const query of ['', 'integration=acme&']) {
      const seen: string[] = [];
      let pages = 0;
      for await (const page of pagesOf(server, `/api/connections?${query}`)) {
        const users = usersOf(page);
        assert.ok(users.length <= MAX_PAGE);
        seen.push(...users);
        pages += 1;
        if (pages !== 3) continue;
        // Deletes and registers one connection among those already read, and one among those to come.
        await nango.deleteConnection('acme', seen[5] ?? '');
        await nango.registerConnection('acme', `before${query.length}`, { api_key: 'k' });
        await nango.deleteConnection('acme', `user-${10_000_000 + MANY - query.length}`);
        await nango.registerConnection('acme', `zz${query.length}`, { api_key: 'k' });
      }
      assert.equal(new Set(seen).size, seen.length, 'nothing comes twice');
      const left = (await nango.getConnections()).returnValue.map(({ userId }) => userId);
      const isMissed = (user: string) => !seen.includes(user) && user !== `before${query.length}`;
      assert.deepEqual(left.filter(isMissed), []);
      assert.ok(!seen.includes(`user-${10_000_000 + MANY - query.length}`), 'what was removed ahead does not come');
      assert.equal(pages, Math.ceil(seen.length / MAX_PAGE));
    }
    await nango.registerConnection('other', 'first', { api_key: 'k' });
    for (const [query, count] of [
      ['userId=first', 2],
      ['userId=first&limit=1', 2],
      ['integration=other', 1],
      ['userId=nobody', 0],
    ] as const) {
      const found: string[] = [];
      for await (const page of pagesOf(server, `/api/connections?${query}`)) found.push(...usersOf(page));
      assert.deepEqual(
        found,
        Array.from({ length: count }, () => 'first'),
        query,
      );
    }

    await execute(EVENTS);
    for (const [path, items] of [
      ['/api/events?', 'events'],
      ['/api/webhooks/dead?', 'deliveries'],
    ] as const) {
      const ids: string[] = [];
      for await (const page of pagesOf(server, `${path}limit=${MAX_PAGE}`)) {
        const some = page[items] as ({ id: string } | { event: { id: string } })[];
        assert.ok(some.length <= MAX_PAGE);
        ids.push(...some.map((item) => ('event' in item ? item.event.id : item.id)));
      }
      assert.ok(ids.length > MANY, `${path} ${ids.length}`);
      assert.equal(new Set(ids).size, ids.length);
      // Events have their positions now, so each event can be a failed delivery.
      if (items === 'events') await execute(DEAD_DELIVERIES);
      assert.equal((await server.api('GET', `${path}limit=${MAX_PAGE + 1}`)).status, 400);
    }
  });

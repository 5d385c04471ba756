import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startTestServer, type TestServer } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createCleanup } from '../support/temporary-folder.ts';

const INTEGRATIONS = `integrations:
  mail:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/', headers: { X-Key: '\${api_key}' } }
  chat:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/', headers: { X-Key: '\${api_key}' } }
`;

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

for (const [store, databaseUrlOf] of [
  ['SQLite', async () => undefined],
  ['PostgreSQL', () => postgres.createDatabase()],
] as const) {
  describe(`lists on ${store}`, () => {
    test('every filter, and several at once, give exactly the connections that match, in pages', async (t) => {
      const server = await startTestServer(t, {
        integrations: INTEGRATIONS,
        databaseUrl: await databaseUrlOf(),
      });
      const { nango } = server;
      const users = ['a', 'ab', 'ab%', 'ab_1', 'AB', 'aç', 'b', 'ab\u{10ffff}', 'ab\ud7ff', 'ab\ue000'];
      for (const [index, userId] of users.entries())
        for (const [integration, account] of [
          ['mail', 'default'],
          ['mail', 'work'],
          ['chat', 'default'],
        ] as const)
          await nango.registerConnection(
            {
              integration,
              userId,
              account,
              tags: { organization: `org ${index % 3}`, plan: index % 2 ? 'pro=1' : 'free' },
            },
            { api_key: 'k' },
          );
      const all = (await nango.getConnections()).returnValue;
      assert.equal(all.length, users.length * 3);
      const filters = [
        {},
        { integration: 'mail' },
        { userId: 'ab' },
        { userId: 'ab', integration: 'mail' },
        { account: 'work' },
        { account: 'default', integration: 'mail' },
        { status: 'active' as const },
        { status: 'needs_reconnect' as const },
        { userIdPrefix: 'ab' },
        { userIdPrefix: 'ab\ud7ff' },
        { userIdPrefix: 'ab\u{10ffff}' },
        { userIdPrefix: 'a', integration: 'chat' },
        { tags: { organization: 'org 1' } },
        { tags: { organization: 'org 1', plan: 'pro=1' } },
        { tags: { organization: 'org 1' }, account: 'work', userIdPrefix: 'a' },
        { tags: { organization: 'org 1', plan: 'nothing' } },
      ];
      for (const filter of filters) {
        const expected = all.filter((connection) => matches(connection, filter)).map(({ id }) => id);
        const listed = (await nango.getConnections(filter)).returnValue.map(({ id }) => id);
        assert.deepEqual(listed.toSorted(), expected.toSorted(), JSON.stringify(filter));
        assert.deepEqual(await inPages(server, filter), listed, JSON.stringify(filter));
      }
    });

    test('tags are set by the back end, kept by a reconnect, replaced, and removed with the connection', async (t) => {
      const server = await startTestServer(t, {
        integrations: INTEGRATIONS,
        databaseUrl: await databaseUrlOf(),
      });
      const { nango } = server;
      const token = async (tags?: Record<string, string>) =>
        (await nango.createConnectSession({ userId: '1', ...(tags ? { tags } : {}) })).returnValue.token;
      const connect = async (session: string) => {
        const body = { integration: 'mail', userId: '1', credentials: { api_key: 'k' }, tags: { plan: 'of the page' } };
        assert.equal(
          (await server.api('POST', '/oauth/attempts', body, { authorization: `Bearer ${session}` })).status,
          201,
        );
        return (await nango.getConnection('mail', '1')).returnValue;
      };
      const listed = async (tags: Record<string, string>) => (await nango.getConnections({ tags })).returnValue.length;
      const first = await connect(await token({ organization: 'acme' }));
      assert.deepEqual(first.tags, { organization: 'acme' });
      const again = await connect(await token());
      assert.deepEqual([again.id, again.tags], [first.id, { organization: 'acme' }]);
      assert.deepEqual((await connect(await token({ plan: 'pro' }))).tags, { plan: 'pro' });
      assert.deepEqual([await listed({ organization: 'acme' }), await listed({ plan: 'pro' })], [0, 1]);
      const updated = (await nango.updateConnectionTags({ connectionId: first.id }, { plan: 'free', region: 'eu' }))
        .returnValue;
      assert.deepEqual(updated.tags, { plan: 'free', region: 'eu' });
      assert.deepEqual([await listed({ plan: 'pro' }), await listed({ plan: 'free', region: 'eu' })], [0, 1]);
      await nango.deleteConnection('mail', '1');
      await nango.registerConnection({ integration: 'mail', userId: '1' }, { api_key: 'k' });
      assert.equal(await listed({ plan: 'free' }), 0);
      const { events } = (await nango.getEvents()).returnValue;
      assert.deepEqual(
        events.map(({ type, data }) => [type, data.tags]),
        [
          ['connection.created', { organization: 'acme' }],
          ['connection.reconnected', { organization: 'acme' }],
          ['connection.reconnected', { plan: 'pro' }],
          ['connection.deleted', { plan: 'free', region: 'eu' }],
          ['connection.created', {}],
        ],
      );
    });
  });
}

test('D3: hostile tags and filters are refused, or they are data', async (t) => {
  const server = await startTestServer(t, { integrations: INTEGRATIONS });
  const { nango } = server;
  const register = (tags: unknown, userId = '1') =>
    server.api('POST', '/api/connections', { integration: 'mail', userId, tags, credentials: { api_key: 'k' } });
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`t${index}`, '']));
  for (const tags of [
    many,
    { 'a=b': 'c' },
    { '': 'x' },
    { x: 'y'.repeat(257) },
    { ['n'.repeat(65)]: '' },
    { x: '\0' },
    { x: '\ud800' },
    { x: 1 },
    ['x'],
    'x',
  ])
    assert.equal((await register(tags)).status, 400, JSON.stringify(tags));
  const hostile = { constructor: 'x', "'; drop table connections; --": "' or '1'='1", '%': '_' };
  assert.equal((await register(hostile)).status, 201);
  assert.equal((await nango.getConnections({ tags: hostile })).returnValue.length, 1);
  assert.equal((await nango.getConnections({ tags: { '%': '%' } })).returnValue.length, 0);
  for (const query of [
    'tag=x',
    'tag=x=1&tag=x=2',
    'tag==x',
    'tag=',
    'status=x',
    'account=',
    'userIdPrefix=',
    'userId=1&userIdPrefix=1',
  ])
    assert.equal((await server.api('GET', `/api/connections?${query}`)).status, 400, query);
  const tooMany = Array.from({ length: 17 }, (_, index) => `tag=t${index}=1`).join('&');
  assert.equal((await server.api('GET', `/api/connections?${tooMany}`)).status, 400);
});

interface Filter {
  readonly integration?: string;
  readonly userId?: string;
  readonly userIdPrefix?: string;
  readonly account?: string;
  readonly status?: string;
  readonly tags?: Record<string, string>;
}

type Listed = Required<Omit<Filter, 'userIdPrefix'>> & { readonly id: string };

function matches(connection: Listed, { tags = {}, userIdPrefix = '', ...equal }: Filter): boolean {
  return (
    connection.userId.startsWith(userIdPrefix) &&
    Object.entries(equal).every(([name, value]) => Reflect.get(connection, name) === value) &&
    Object.entries(tags).every(([name, value]) => connection.tags[name] === value)
  );
}

/** The ids of a list that is read four at a time. */
async function inPages(server: TestServer, { tags = {}, ...texts }: Filter): Promise<string[]> {
  const ids: string[] = [];
  const query = new URLSearchParams({ ...texts, limit: '4' } as Record<string, string>);
  for (const [name, value] of Object.entries(tags)) query.append('tag', `${name}=${value}`);
  for (;;) {
    const { body } = await server.api('GET', `/api/connections?${query.toString()}`);
    const { connections, nextCursor } = body as { connections: Listed[]; nextCursor: string | null };
    ids.push(...connections.map(({ id }) => id));
    if (nextCursor === null) return ids;
    query.set('cursor', nextCursor);
  }
}

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import Nango from '@nangohq/node-client';
import pg from 'pg';
import { freePort } from '../support/free-port.ts';
import { listen } from '../support/listen.ts';
import { ENCRYPTION_KEY, SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRotatingProvider } from '../support/rotating-provider.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { startServerProcess } from '../support/server-process.ts';
import { createCleanup, temporaryFolder } from '../support/temporary-folder.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

const KEYED = `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/' }
`;

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

/** Sends each request to the next server. */
async function startBalancer(t: TestContext, port: number, targets: readonly string[]) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const target = targets[seen.length % targets.length] ?? '';
    seen.push(
      `${request.method} ${new URL(request.url ?? '/', target).pathname.replace(/\/attempts\/.*/, '/attempts/<id>')}`,
    );
    const { method, headers } = request;
    const onward = httpRequest(new URL(request.url ?? '/', target), { method, headers: { ...headers } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  await listen(t, server, port);
  return seen;
}

test('a connect flow works if its begin, its callback and its poll reach different servers', async (t) => {
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at-1', expires_in: 3600 } }));
  const databaseUrl = await postgres.createDatabase();
  const port = await freePort();
  const rootUrl = `http://localhost:${port}`;
  const integrations = `integrations:${scriptedIntegration(provider.url, { auth: '' })}`;
  const servers = [];
  for (let count = 0; count < 3; count += 1)
    servers.push(await startTestServer(t, { integrations, databaseUrl, rootUrl, port: await freePort() }));
  const targets = servers.map(({ running }) => `http://localhost:${running.port}`);
  const seen = await startBalancer(t, port, targets);
  const begun = await beginAttempt(rootUrl);
  const agent = new UserAgent();
  const authorize = await agent.request(begun.connectUrl);
  const state = new URL(authorize.headers.get('location') ?? '').searchParams.get('state') ?? '';
  const page = await agent.request(`${rootUrl}/oauth/callback?state=${state}&code=c`);
  assert.equal(page.status, 200, await page.text());
  assert.equal((await attemptResult(rootUrl, begun.attempt)).status, 'succeeded');
  assert.equal(new Set(seen.slice(0, 3)).size, 3, seen.join());
  for (const { nango } of servers)
    assert.equal((await nango.getConnection('acme', '1')).returnValue.credentials['access_token'], 'at-1');
});

test('a server no longer serves a connection that another server changed or deleted', async (t) => {
  const databaseUrl = await postgres.createDatabase();
  const [one, two] = [
    await startTestServer(t, { integrations: KEYED, databaseUrl }),
    await startTestServer(t, { integrations: KEYED, databaseUrl }),
  ];
  const keyOn = async ({ nango }: typeof one) =>
    (await nango.getConnection('keyed', '1')).returnValue.credentials['api_key'];
  await one.nango.registerConnection('keyed', '1', { api_key: 'k0' });
  for (let round = 1; round <= 5; round += 1) {
    // Both servers have cached the connection now.
    assert.deepEqual([await keyOn(one), await keyOn(two)], [`k${round - 1}`, `k${round - 1}`]);
    await one.nango.updateConnectionCredentials('keyed', '1', { api_key: `k${round}` });
    assert.equal(await keyOn(one), `k${round}`);
    while ((await keyOn(two)) !== `k${round}`);
  }
  await one.nango.deleteConnection('keyed', '1');
  await assert.rejects(keyOn(one), { type: 'connection_not_found' });
  while ((await keyOn(two).catch(() => 'gone')) !== 'gone');
});

/** The number of servers that listen for changes. */
async function listeners(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int from pg_stat_activity where datname = current_database() and query like 'select pg_notify%'`,
  );
  await client.end();
  return rows[0]?.count ?? 0;
}

test('S4: without the database cached connections work, and others get 503 with Retry-After', async (t) => {
  if (process.env['DATABASE_URL']) return t.skip('a database that was given is not stopped');
  const databaseUrl = await postgres.createDatabase();
  const first = await startTestServer(t, { integrations: KEYED, databaseUrl });
  for (const userId of ['cached', 'cold']) await first.nango.registerConnection('keyed', userId, { api_key: userId });
  // The server was not notified of these changes, and listens. From then on its cache loses no entry.
  const server = await startTestServer(t, { integrations: KEYED, databaseUrl });
  while ((await listeners(databaseUrl)) < 2);
  const { nango, url } = server;
  const read = (userId: string) => server.api('GET', `/api/connection?integration=keyed&userId=${userId}`);
  assert.equal((await read('cached')).status, 200);
  await postgres.stop();
  for (let count = 0; count < 20; count += 1) assert.equal((await read('cached')).status, 200);
  const cold = await read('cold');
  assert.deepEqual([cold.status, cold.headers.get('retry-after')], [503, '1']);
  assert.equal((cold.body as { error: { type: string } }).error.type, 'store_unavailable');
  assert.equal(
    (await server.api('POST', '/api/connections', { integration: 'keyed', userId: 'x', credentials: { api_key: 'k' } }))
      .status,
    503,
  );
  assert.deepEqual(
    [(await fetch(`${url}/health/live`)).status, (await fetch(`${url}/health/ready`)).status],
    [200, 503],
  );
  await postgres.start();
  while ((await fetch(`${url}/health/ready`)).status !== 200);
  assert.equal((await read('cold')).status, 200);
  await nango.updateConnectionCredentials('keyed', 'cached', { api_key: 'changed' });
  assert.equal((await nango.getConnection('keyed', 'cached')).returnValue.credentials['api_key'], 'changed');
});

test('R1: 100 callers of 4 servers cause one token request after one expiry', async (t) => {
  const provider = await startRotatingProvider(t, { failureRate: 0, lifeMs: () => 3_600_000 });
  const databaseUrl = await postgres.createDatabase();
  const folder = temporaryFolder(t, {
    'integrations.yaml': `integrations:
  acme:
    oauth_client_id: client
    oauth_client_secret: secret
    oauth_scopes: []
    auth: { auth_mode: OAUTH2, authorization_url: '${provider.url}/a', token_url: '${provider.url}/t' }
    requests: { base_url: '${provider.url}/' }
`,
  });
  const processes = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const port = await freePort();
      const url = `http://localhost:${port}`;
      const environment = {
        NANGO_SECRET_KEY: SECRET_KEY,
        NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
        NANGO_DATA_DIR: join(folder, 'data'),
        DATABASE_URL: databaseUrl,
      };
      await startServerProcess(t, { folder, url, environment, flags: ['--port', String(port)] });
      const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
      t.after(() => nango.close());
      return nango;
    }),
  );
  for (const userId of ['grace', 'none']) {
    const expired = { ...provider.grant(userId, userId === 'grace'), expires_at: new Date(Date.now() - 1000) };
    await processes[0]?.registerConnection('acme', userId, expired);
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => processes.map((nango) => nango.getConnection('acme', userId))).flat(),
    );
    assert.equal(answers.length, 100);
    assert.equal(new Set(answers.map(({ returnValue }) => returnValue.credentials['access_token'])).size, 1);
  }
  assert.deepEqual([provider.counts.rotated, provider.counts.reused], [2, 0]);
});

test('a server that gets a stop signal finishes requests in flight, and accepts no new ones', async (t) => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const provider = await startScriptedProvider(t, async () => {
    asked.resolve();
    await answer.promise;
    return { body: { access_token: 'at-2', refresh_token: 'rt-2', expires_in: 3600 } };
  });
  const folder = temporaryFolder(t, { 'integrations.yaml': `integrations:${scriptedIntegration(provider.url)}` });
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const environment = {
    NANGO_SECRET_KEY: SECRET_KEY,
    NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
    DATABASE_URL: await postgres.createDatabase(),
  };
  const start = () => startServerProcess(t, { folder, url, environment, flags: ['--port', String(port)] });
  const server = await start();
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  await nango.registerConnection('acme', '1', { access_token: 'at-1', refresh_token: 'rt-1', expires_at: 1 });
  const waiting = nango.getConnection('acme', '1');
  await asked.promise;
  const exited = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  // New connections are rejected from here on, and the refresh continues.
  while (
    await fetch(`${url}/health/live`).then(
      (response) => response.ok,
      () => false,
    )
  );
  answer.resolve();
  assert.equal((await waiting).returnValue.credentials['access_token'], 'at-2');
  assert.deepEqual(await exited, [0, null]);
  await start();
  assert.equal((await nango.getConnection('acme', '1')).returnValue.credentials['access_token'], 'at-2');
  assert.equal(provider.requests.length, 1);
});

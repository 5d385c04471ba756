import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Nango, { type NangoClientError } from '@nangohq/node-client';
import pg from 'pg';
import { authorizationServerIntegration, startAuthorizationServer } from '../support/authorization-server.ts';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { startPostgres } from '../support/postgres.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { attemptResult, UserAgent } from '../support/user-agent.ts';

const CALLS = 1_000;
const CLIENTS = 8;
/** The user's accounts here, and the persons that they are at the provider. */
const PERSONS = { default: 'ada', work: 'grace' } as const;
type Account = keyof typeof PERSONS;

/** One of the servers, and an SDK for it. */
interface Client {
  readonly nango: Nango;
  readonly url: string;
}

const WHO_ACTION = `import { NangoAction } from '@nangohq/action';
class AcmeWhoAction extends NangoAction {
  async executeAction() {
    return (await this.httpRequest('me', 'GET')).json.sub;
  }
}
export { AcmeWhoAction };
`;

/** Two servers on one PostgreSQL, and an authorization server at which a person logs in by `login_hint`. */
async function start(t: TestContext) {
  const ports = [await freePort(), await freePort()];
  const [root = ''] = ports.map((port) => `http://localhost:${port}`);
  const as = await startAuthorizationServer(t, { redirectUri: `${root}/oauth/callback` });
  const params = "authorization_params: { prompt: consent, login_hint: '${config.login}' }";
  const auth = '      identity: { user: id_token.sub }';
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_root_url: ${root}\n`,
    'integrations.yaml': authorizationServerIntegration(as, { auth }).replace(/authorization_params: .*/, params),
    'acme/who.action.ts': WHO_ACTION,
  });
  const databaseUrl = await (await startPostgres(t)).createDatabase();
  const environment = {
    NANGO_SECRET_KEY: SECRET_KEY,
    NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
    NANGO_DATA_DIR: join(temporaryFolder(t), 'data'),
    DATABASE_URL: databaseUrl,
    AS_SECRET: as.clientSecret,
  };
  const startAt = (port: number) =>
    startServerProcess(t, { folder, url: `http://localhost:${port}`, environment, flags: ['--port', String(port)] });
  const servers: ServerProcess[] = [];
  for (const port of ports) servers.push(await startAt(port));
  const clients = ports.map((port): Client => {
    const nango = new Nango({ serverUrl: `http://localhost:${port}`, secretKey: SECRET_KEY });
    t.after(() => nango.close());
    return { nango, url: `http://localhost:${port}` };
  });
  const restart = async (index: number) => {
    await servers[index]?.kill();
    servers[index] = await startAt(ports[index] ?? 0);
  };
  return { root, clients, restart, databaseUrl };
}

async function connect(root: string, nango: Nango, account: Account) {
  const { token } = (await nango.createConnectSession({ userId: '1', account })).returnValue;
  const response = await fetch(`${root}/oauth/attempts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ integration: 'acme', userId: '1', additionalConfig: { login: PERSONS[account] } }),
  });
  const { attempt, connectUrl } = (await response.json()) as { attempt: string; connectUrl: string };
  const agent = new UserAgent();
  const consent = await agent.visit(await agent.confirm(connectUrl));
  const { url } = await agent.visit(`${consent.url}/approve`, { method: 'POST', until: /\/oauth\/callback/ });
  await agent.request(url);
  assert.equal((await attemptResult(root, attempt)).status, 'succeeded');
}

test('calls of two accounts reach the right one while servers are killed, and swapped rows are refused', async (t) => {
  const { root, clients, restart, databaseUrl } = await start(t);
  const [first, second] = clients;
  assert.ok(first && second);
  const ids = {} as Record<Account, string>;
  for (const account of ['default', 'work'] as const) {
    await connect(root, first.nango, account);
    const connection = await readAccount(first, account);
    assert.equal(connection.identity?.user, PERSONS[account]);
    ids[account] = connection.id;
  }

  const ways = [
    async ({ nango }: Client, account: Account) =>
      subOf((await nango.request({ integration: 'acme', userId: '1', account }, { endpoint: 'me' })).returnValue.data),
    async ({ nango }: Client, account: Account) =>
      subOf((await nango.request({ connectionId: ids[account] }, { endpoint: 'me' })).returnValue.data),
    async ({ url }: Client, account: Account) => {
      const headers = { authorization: `Bearer ${SECRET_KEY}`, 'nango-connection-id': ids[account] };
      return subOf(await (await fetch(`${url}/proxy/me`, { headers })).text());
    },
    async ({ nango }: Client, account: Account) =>
      (await nango.triggerAction<string>('acme', 'who', { userId: '1', account })).returnValue,
  ];
  const reached: Record<string, number> = {};
  let next = 0;
  const call = async () => {
    for (let index = next++; index < CALLS; index = next++) {
      const account = index % 2 === 0 ? 'default' : 'work';
      const client = clients[(index >> 3) % 2] ?? first;
      try {
        const person = await ways[(index >> 1) % ways.length]?.(client, account);
        const outcome = person === PERSONS[account] ? 'right' : `${account} reached ${String(person)}`;
        reached[outcome] = (reached[outcome] ?? 0) + 1;
      } catch (error) {
        // The server was killed.
        const { type } = error as NangoClientError;
        assert.ok(type === 'network_error' || error instanceof TypeError, String(error));
        reached['no server'] = (reached['no server'] ?? 0) + 1;
      }
    }
  };
  const calling = Promise.all(Array.from({ length: CLIENTS }, call));
  for (const index of [0, 1, 0]) await restart(index);
  await calling;
  const { right = 0, 'no server': none = 0, ...wrong } = reached;
  assert.deepEqual(wrong, {});
  assert.equal(right + none, CALLS);
  assert.ok(right > 0);

  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    const { rows } = await database.query<{ uuid: string; sealed_credentials: Buffer }>(
      'select uuid, sealed_credentials from connections order by account',
    );
    const swap = 'update connections set sealed_credentials = $1 where uuid = $2';
    for (const [index, { uuid }] of rows.entries())
      await database.query(swap, [rows[1 - index]?.sealed_credentials, uuid]);
  } finally {
    await database.end();
  }
  await restart(1);
  for (const connectionId of Object.values(ids))
    await assert.rejects(second.nango.getConnection({ connectionId }), { type: 'credentials_unreadable' });
});

async function readAccount({ nango }: Client, account: Account) {
  return (await nango.getConnection({ integration: 'acme', userId: '1', account })).returnValue;
}

function subOf(text: string): unknown {
  return (JSON.parse(text) as { sub?: unknown }).sub;
}

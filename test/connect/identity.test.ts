import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { connectBrowser } from '../support/user-agent.ts';

interface Account {
  readonly id?: string | number;
  readonly team?: string;
  readonly email?: string;
}

const IDENTITY = '      identity: { user: account.id, workspace: account.team, name: account.email }';
const ADA: Account = { id: 'u1', team: 't1', email: 'ada@example.com' };
const BOB: Account = { id: 'u2', team: 't1', email: 'bob@example.com' };

/** A server and a provider whose user chooses one of several accounts. Every token response has its own token. */
async function start(t: TestContext, auth = IDENTITY, revocation = 'PROVIDER/revoke') {
  let chosen: Account | undefined;
  let issued = 0;
  const revoked: string[] = [];
  const provider = await startScriptedProvider(t, ({ path, form }) => {
    if (path === '/revoke') {
      revoked.push(form.get('token') ?? '');
      return {};
    }
    if (path === '/me') return chosen ? { body: { data: chosen } } : { status: 500 };
    issued += 1;
    return { body: { access_token: `at-${issued}`, token_type: 'bearer', ...(chosen && { account: chosen }) } };
  });
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url, {
      auth: `      revocation_url: '${revocation}'\n${auth}`.replaceAll('PROVIDER', provider.url),
      settings: '    config: { area: { default: revoke } }',
    })}`,
  });
  const connect = (account: Account | undefined, begin: Parameters<typeof connectBrowser>[1] = {}) => {
    chosen = account;
    return connectBrowser(server.url, begin);
  };
  const read = async (userId = '1') => (await server.nango.getConnection('acme', userId)).returnValue;
  return { ...server, connect, read, revoked };
}

test('who connected is shown, listed and part of events, and only the provider says it', async (t) => {
  const { nango, connect, read } = await start(t, `${IDENTITY}\n      config_from_callback: { note: note }`);
  await connect(ADA, { callback: 'code=c1&note=n&account.id=evil&identity=evil' });
  const identity = { user: 'u1', workspace: 't1', name: 'ada@example.com' };
  assert.deepEqual((await read()).identity, identity);
  assert.equal((await nango.getConnections({ identity: 'u1' })).returnValue.length, 1);
  assert.equal((await nango.getConnections({ identity: 'evil' })).returnValue.length, 0);
  const { events } = (await nango.getEvents()).returnValue;
  assert.deepEqual(events.at(-1)?.data.identity, identity);
});

test('a reconnect of the same identity keeps the id and takes the new credentials', async (t) => {
  const { connect, read } = await start(t);
  await connect(ADA);
  const before = await read();
  assert.equal((await connect({ ...ADA, email: 'ada@new.example' })).status, 'succeeded');
  const after = await read();
  assert.deepEqual([after.id, after.credentials['access_token']], [before.id, 'at-2']);
  assert.equal(after.identity?.name, 'ada@new.example');
});

test('a reconnect as another identity changes nothing, and its grant is revoked', async (t) => {
  const { connect, read, revoked } = await start(t);
  await connect(ADA);
  const { status, error } = await connect(BOB);
  assert.deepEqual([status, error?.type], ['failed', 'account_mismatch']);
  assert.match(error?.message ?? '', /bob@example\.com/);
  assert.doesNotMatch(error?.message ?? '', /ada@/);
  const kept = await read();
  assert.deepEqual([kept.credentials['access_token'], kept.identity?.user], ['at-1', 'u1']);
  assert.deepEqual(revoked, ['at-2']);
});

test('the settings of a connection and their defaults are part of the revocation of its unwanted grant', async (t) => {
  const { connect, revoked } = await start(t, IDENTITY, 'PROVIDER/${config.area}');
  await connect(ADA);
  assert.equal((await connect(BOB)).error?.type, 'account_mismatch');
  assert.deepEqual(revoked, ['at-2']);
});

test('the same user id in another workspace is another identity', async (t) => {
  const { connect } = await start(t);
  await connect(ADA);
  assert.equal((await connect({ ...ADA, team: 't2' })).error?.type, 'account_mismatch');
});

test('a grant is not revoked if its identity is connected by another user', async (t) => {
  const { connect, read, revoked } = await start(t);
  await connect(ADA);
  await connect(BOB, { userId: '2' });
  assert.equal((await connect(BOB)).error?.type, 'account_mismatch');
  assert.deepEqual(revoked, []);
  assert.equal((await read('2')).credentials['access_token'], 'at-2');
});

test('an identity that was known and no longer is, is refused and not revoked', async (t) => {
  const { connect, read, revoked } = await start(t);
  await connect(ADA);
  assert.equal((await connect(undefined)).error?.type, 'account_mismatch');
  assert.equal((await read()).identity?.user, 'u1');
  assert.deepEqual(revoked, []);
});

test('an identity that was never known is null, and becomes known', async (t) => {
  const { connect, read } = await start(t);
  await connect(undefined);
  assert.equal((await read()).identity, null);
  assert.equal((await connect(ADA)).status, 'succeeded');
  assert.equal((await read()).identity?.user, 'u1');
});

test('credentials that the application supplies end what was known', async (t) => {
  const { nango, connect, read } = await start(t);
  await connect(ADA);
  await nango.updateConnectionCredentials('acme', '1', { access_token: 'own' });
  const { identity, grantedScopes, requestedScopes } = await read();
  assert.deepEqual([identity, grantedScopes, requestedScopes], [null, null, null]);
});

test('a profile step says who connected, and its failure leaves the identity unknown', async (t) => {
  const step = `      steps:
        - request: { method: GET, url: 'PROVIDER/me', headers: { Authorization: 'Bearer \${access_token}' } }
          identity: { user: data.id, name: data.email }
          optional: true`;
  const { connect, read } = await start(t, step);
  await connect({ id: 17, email: 'ada@example.com' });
  assert.deepEqual((await read()).identity, { user: '17', workspace: null, name: 'ada@example.com' });
  assert.equal((await connect(undefined)).error?.type, 'account_mismatch');
});

test('connecting an identity that the user has under another account says so', async (t) => {
  const { nango, url, connect } = await start(t);
  await connect(ADA);
  const { token } = (await nango.createConnectSession({ userId: '1', account: 'work' })).returnValue;
  const result = (await connect(ADA, { token, account: 'work' })) as { alsoConnectedAs?: string[] };
  assert.deepEqual(result.alsoConnectedAs, ['default'], url);
});

test('a session may permit another identity, and a page may not', async (t) => {
  const { nango, connect, read } = await start(t);
  await connect(ADA);
  const { id } = await read();
  const { token } = (await nango.createConnectSession({ userId: '1', allowAccountChange: true })).returnValue;
  assert.equal((await connect(BOB, { token })).status, 'succeeded');
  const changed = await read();
  assert.deepEqual([changed.id, changed.identity?.user], [id, 'u2']);
  assert.equal((await connect(ADA)).error?.type, 'account_mismatch');
});

test('prompted credentials cannot replace a connection whose identity is known', async (t) => {
  const { connect, read, ...server } = await start(t);
  await connect(ADA);
  const body = { integration: 'acme', userId: '1', credentials: { access_token: 'own' } };
  await server.api('POST', '/oauth/attempts', body);
  assert.equal((await read()).credentials['access_token'], 'at-1');
});

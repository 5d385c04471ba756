import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createClientRegistrations } from '../../packages/server/src/connect/client-registrations.ts';
import { grantFromSecrets } from '../../packages/server/src/auth-modes/oauth2/credentials.ts';
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts';
import type { SealedTable } from '../../packages/server/src/store/store.ts';
import { createVault, type SealedPlace } from '../../packages/server/src/vault/vault.ts';
import { ENCRYPTION_KEY, startTestServer } from '../support/nango-server.ts';
import { secret } from '../support/secrets.ts';
import { UserAgent } from '../support/user-agent.ts';

const INTEGRATIONS = `integrations:
  keyed: { auth: { auth_mode: API_KEY }, requests: { base_url: 'https://api.example', headers: { x-key: '\${api_key}' } } }
  code:
    requests: { base_url: https://api.example }
    auth: { auth_mode: OAUTH2, authorization_url: https://a.example/auth, token_url: https://a.example/token }
    oauth_client_id: id
    oauth_client_secret: client-secret
    oauth_scopes: []
`;

const UNREADABLE = {
  // The error of JSON.parse would quote it.
  'text that is not JSON': 'CANARY',
  'JSON that does not fit its schema': '{"api_key":{"CANARY":7},"redirect_uri":["CANARY"],"client_id":["CANARY"]}',
};
const vault = createVault(secret(Buffer.from(ENCRYPTION_KEY, 'base64')));

async function setUp(t: TestContext) {
  const server = await startTestServer(t, { integrations: INTEGRATIONS });
  const store = openSqliteStore(join(server.dataDirectory, 'nango.db'));
  t.after(() => store.close());
  const seal = async (table: SealedTable, place: Omit<SealedPlace, 'table'>, text: string) => {
    const [value] = await store.sealedValues(table, { after: undefined, limit: 1 });
    assert.ok(value);
    assert.ok(await store.replaceSealed(value, vault.seal(secret(text), { table, ...place })));
    return value;
  };
  return { server, nango: server.nango, store, seal };
}

for (const [what, text] of Object.entries(UNREADABLE)) {
  test(`S2: ${what} in place of credentials is credentials_unreadable and is not quoted`, async (t) => {
    const { server, nango, seal } = await setUp(t);
    await nango.registerConnection('keyed', '1', { api_key: 'key' });
    await seal('connections', { row: '["keyed","1"]', column: 'sealed_credentials' }, text);
    const { status, body } = await server.api('GET', '/api/connection?integration=keyed&userId=1');
    assert.equal(status, 500);
    assert.match(JSON.stringify(body), /credentials_unreadable/);
    assert.doesNotMatch(JSON.stringify(body) + server.log(), /CANARY(?!-a1b2c3)/);
  });

  test(`S2: ${what} in place of an attempt’s secrets ends the attempt, and the log does not quote it`, async (t) => {
    const { server, store, seal } = await setUp(t);
    const { body } = await server.api(
      'POST',
      '/oauth/attempts',
      { integration: 'code', userId: '1' },
      { authorization: '' },
    );
    const { connectUrl } = body as { connectUrl: string };
    const browser = new UserAgent();
    const begun = await browser.request(connectUrl);
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state') ?? '';
    const [attempt] = await store.sealedValues('connect_attempts', { after: undefined, limit: 1 });
    await seal('connect_attempts', { row: attempt?.key[0] ?? '', column: 'sealed_secrets' }, text);
    await browser.request(
      `${new URL(connectUrl).origin}/oauth/callback?${new URLSearchParams({ state, code: 'code' }).toString()}`,
    );
    assert.match(
      server.log(),
      /connect attempt failed.*credentials_unreadable|credentials_unreadable.*connect attempt failed/,
    );
    assert.doesNotMatch(server.log(), /CANARY(?!-a1b2c3)/);
  });

  test(`S2: ${what} in place of a registered client is credentials_unreadable and is not quoted`, async (t) => {
    const { store, seal } = await setUp(t);
    const key = { integration: 'code', issuer: 'https://a.example', redirectUri: 'https://nango.example' };
    const registrations = createClientRegistrations({ store, vault, now: Date.now });
    const register = () => registrations.findOrRegister(key, async () => ({ client_id: 'id' }));
    await register();
    const row = JSON.stringify(Object.values(key));
    await seal('client_registrations', { row, column: 'sealed_client' }, text);
    await assert.rejects(register, withoutCanary);
    assert.throws(() => grantFromSecrets({ client: secret(text) }), withoutCanary);
  });
}

function withoutCanary(error: unknown): boolean {
  assert.ok(error instanceof Error && 'code' in error);
  assert.equal(error.code, 'credentials_unreadable');
  assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, /CANARY/);
  return true;
}

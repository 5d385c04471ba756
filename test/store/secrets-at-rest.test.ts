import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Nango from '@nangohq/node-client';
import pg from 'pg';
import { filesOf, findSecrets, type Places } from '../support/find-secrets.ts';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { startPostgres } from '../support/postgres.ts';
import { startScriptedProvider, type SeenRequest } from '../support/scripted-provider.ts';
import { runCli, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

// Each encoding changes some of these characters.
const mark = (name: string) => `${name}-"\\/+%&=?~-CANARY-${name}`;

const PLANTED = {
  accessToken: mark('access-token'),
  refreshToken: mark('refresh-token'),
  member: mark('member-of-raw'),
  apiKey: mark('api-key'),
  typedClientSecret: mark('typed-client-secret'),
  loginToken: mark('login-token'),
  registeredClientSecret: mark('registered-client-secret'),
  deviceCode: mark('device-code'),
  temporarySecret: mark('temporary-secret'),
  spentRefreshToken: mark('spent-refresh-token'),
  refreshedAccessToken: mark('refreshed-access-token'),
  refreshedRefreshToken: mark('refreshed-refresh-token'),
  echoedRefreshToken: mark('echoed-refresh-token'),
  ownClientSecret: mark('own-client-secret'),
};

/** A provider of all flows that repeats one refresh token in an error. */
function answer({ path, form, body }: SeenRequest, url: string) {
  if (path === '/.well-known/oauth-protected-resource/mcp')
    return { body: { resource: `${url}/mcp`, authorization_servers: [url] } };
  if (path === '/.well-known/oauth-authorization-server' || path === '/.well-known/openid-configuration')
    return {
      body: {
        issuer: url,
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/token`,
        registration_endpoint: `${url}/register`,
      },
    };
  if (path === '/register')
    return { status: 201, body: { client_id: 'registered', client_secret: PLANTED.registeredClientSecret } };
  if (path === '/device')
    return {
      body: { device_code: PLANTED.deviceCode, user_code: 'AB', verification_uri: `${url}/go`, expires_in: 600 },
    };
  if (path === '/login') return { body: { token: PLANTED.loginToken } };
  if (path === '/temporary') {
    const secret = encodeURIComponent(PLANTED.temporarySecret);
    return { body: `oauth_token=temporary&oauth_token_secret=${secret}&oauth_callback_confirmed=true` };
  }
  if (form.get('refresh_token') === PLANTED.echoedRefreshToken) return { status: 500, body: `<p>No: ${body}</p>` };
  if (form.get('grant_type') === 'refresh_token')
    return {
      body: {
        access_token: PLANTED.refreshedAccessToken,
        refresh_token: PLANTED.refreshedRefreshToken,
        expires_in: 3600,
      },
    };
  const { accessToken: access_token, refreshToken: refresh_token, member } = PLANTED;
  return { body: { access_token, refresh_token, member, expires_in: 3600 } };
}

const integrations = (url: string) => `integrations:
  acme:
    oauth_client_id: client
    oauth_client_secret: \${ACME_SECRET}
    oauth_scopes: []
    auth:
      auth_mode: OAUTH2
      authorization_url: ${url}/authorize
      token_url: ${url}/token
      device_authorization_url: ${url}/device
    requests: { base_url: '${url}/', headers: { Authorization: 'Bearer \${access_token}' } }
  registered:
    oauth_scopes: []
    auth: { auth_mode: OAUTH2, resource: '${url}/mcp', client_metadata: {} }
    requests: { base_url: '${url}/', headers: { Authorization: 'Bearer \${access_token}' } }
  signed:
    oauth_client_id: client
    oauth_client_secret: \${ACME_SECRET}
    oauth_scopes: []
    auth:
      auth_mode: OAUTH1
      request_url: ${url}/temporary
      authorization_url: ${url}/authorize
      token_url: ${url}/token
      signature_method: PLAINTEXT
    requests: { base_url: '${url}/' }
  typed:
    auth:
      auth_mode: API_KEY
      credentials: { api_key: { label: Key }, client_secret: { label: Secret } }
      token_request: { url: '${url}/login', body: { key: '\${api_key}', secret: '\${raw.client_secret}' } }
      token_response_paths: { access_token: token }
      token_lifetime_seconds: 3600
    requests: { base_url: '${url}/', headers: { Authorization: 'Bearer \${access_token}' } }
`;

async function startServer(t: TestContext, databaseUrl?: string) {
  const provider = await startScriptedProvider(t, (request) => answer(request, provider.url));
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': integrations(provider.url),
  });
  const temporary = join(temporaryFolder(t), 'tmp');
  mkdirSync(temporary);
  const environment = {
    NANGO_SECRET_KEY: SECRET_KEY,
    NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
    NANGO_DATA_DIR: join(temporaryFolder(t), 'data'),
    NANGO_FOLDER: folder,
    ACME_SECRET: mark('configured-client-secret'),
    TMPDIR: temporary,
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
  };
  await startServerProcess(t, { folder, url, environment });
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  const output = temporaryFolder(t);
  const run = async (...parameters: string[]) => {
    const { code, stderr } = await runCli(parameters, { environment });
    assert.equal(code, 0, stderr);
  };
  const folders = [environment.NANGO_DATA_DIR, temporary, output].filter((path) => existsSync(path));
  return { provider, url, nango, run, output, environment, files: () => filesOf(...folders) };
}

/** Runs every flow. `look` reads what is stored during the flows and after them. Resolves to the secrets. */
async function plantSecrets(
  { provider, url, nango }: Awaited<ReturnType<typeof startServer>>,
  look: () => Promise<Places>,
): Promise<{ secrets: Record<string, string>; seen: Places[] }> {
  const agent = new UserAgent();
  const { token } = (await nango.createConnectSession({ userId: '1' })).returnValue;
  const oauthClient = { clientId: 'own', clientSecret: PLANTED.ownClientSecret };
  const ownApp = (await nango.createConnectSession({ userId: 'own', integrations: ['acme'], oauthClient })).returnValue;
  const own: Record<string, string> = { sessionToken: token, ownAppToken: ownApp.token };
  const begin = async (integration: string, user = { userId: '1', token }) => {
    const { connectUrl, attempt, nonce = '' } = await beginAttempt(url, { integration, ...user });
    const response = await agent.request(new URL(connectUrl).origin + new URL(connectUrl).pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: url },
      body: JSON.stringify({ attempt, nonce }),
    });
    const { authorizationUrl } = (await response.json()) as { authorizationUrl: string };
    const [, cookie = ''] = /=([^;]+)/.exec(response.headers.get('set-cookie') ?? '') ?? [];
    const state = new URL(authorizationUrl).searchParams.get('state') ?? '';
    Object.assign(own, { [`attempt of ${integration}`]: attempt, [`cookie of ${integration}`]: cookie });
    if (nonce !== '') own[`nonce of ${integration}`] = nonce;
    if (state !== '') own[`state of ${integration}`] = state;
    return { attempt, state };
  };
  const ownUser = { userId: 'own', token: ownApp.token };
  const flows = [await begin('acme'), await begin('registered'), await begin('acme', ownUser)];
  await begin('signed');
  const device = (await nango.beginDeviceAuthorization('acme', 'device')).returnValue;
  own['attempt of a device'] = device.attempt;
  const seen = [await look()];
  for (const { attempt, state } of flows) {
    await agent.request(`${url}/oauth/callback?state=${state}&code=${encodeURIComponent(mark('code'))}`);
    assert.equal((await attemptResult(url, attempt)).status, 'succeeded');
  }
  for (const { path, form } of provider.requests)
    if (path === '/token' && form.has('code_verifier'))
      own[`verifier ${Object.keys(own).length}`] = form.get('code_verifier') ?? '';
  const typed = await fetch(`${url}/oauth/attempts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      integration: 'typed',
      userId: '1',
      credentials: { api_key: PLANTED.apiKey, client_secret: PLANTED.typedClientSecret },
    }),
  });
  assert.equal(typed.status, 201, await typed.text());
  const expired = { access_token: 'old', expires_at: 1 };
  await nango.registerConnection('acme', 'refreshed', { ...expired, refresh_token: PLANTED.spentRefreshToken });
  await nango.registerConnection('acme', 'failing', { ...expired, refresh_token: PLANTED.echoedRefreshToken });
  const { credentials } = (await nango.getConnection('acme', 'refreshed')).returnValue;
  assert.equal(credentials['access_token'], PLANTED.refreshedAccessToken);
  await assert.rejects(nango.getConnection('acme', 'failing'), { type: 'refresh_failed' });
  seen.push(await look());
  const configured = { secretKey: SECRET_KEY, encryptionKey: ENCRYPTION_KEY, code: mark('code') };
  const clientSecret = mark('configured-client-secret');
  return { secrets: { ...PLANTED, ...own, ...configured, clientSecret }, seen };
}

function assertSealed({ secrets, seen }: Awaited<ReturnType<typeof plantSecrets>>): void {
  assert.equal(Object.keys(secrets).filter((name) => name.startsWith('verifier')).length, 3);
  for (const places of seen) assert.deepEqual(findSecrets(secrets, places), []);
}

test('S6: SQLite, its log, a backup, an export and temporary files hold no secret in any encoding', async (t) => {
  const server = await startServer(t);
  const planted = await plantSecrets(server, async () => server.files());
  await server.run('backup', join(server.output, 'backup.db'));
  await server.run('export', join(server.output, 'export.jsonl'));
  const files = server.files();
  for (const name of ['nango.db', 'nango.db-wal', 'nango.db-shm', 'backup.db', 'export.jsonl'])
    assert.ok(
      Object.keys(files).some((path) => path.endsWith(`/${name}`) && (files[path]?.length ?? 0) > 0),
      name,
    );
  assertSealed({ ...planted, seen: [...planted.seen, files] });

  // The search finds plain text, and the flows stored their values.
  const clear = join(temporaryFolder(t), 'clear.jsonl');
  await server.run('export', clear, '--clear-credentials');
  const found = findSecrets(planted.secrets, { clear: readFileSync(clear) });
  for (const name of ['accessToken', 'refreshToken', 'member', 'apiKey', 'typedClientSecret', 'refreshedRefreshToken'])
    assert.ok(found.includes(`${name} in clear (JSON-escaped)`), name);
});

test('S6: the tables of PostgreSQL, an export and temporary files hold no secret in any encoding', async (t) => {
  const postgres = await startPostgres(t);
  const databaseUrl = await postgres.createDatabase();
  const server = await startServer(t, databaseUrl);
  const tables = () => tablesOf(databaseUrl);
  const planted = await plantSecrets(server, async () => ({ ...server.files(), ...(await tables()) }));
  await server.run('export', join(server.output, 'export.jsonl'));
  const all = await tables();
  for (const name of ['connections', 'connect_attempts', 'connect_sessions', 'client_registrations', 'events'])
    assert.ok((all[name]?.length ?? 0) > 0, name);
  assertSealed({ ...planted, seen: [...planted.seen, { ...server.files(), ...all }] });
});

/** The text of every table, as in a dump, and its byte strings unchanged. */
async function tablesOf(databaseUrl: string): Promise<Places> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `select table_name as name from information_schema.tables where table_schema = 'public'`,
    );
    const tables: Record<string, Buffer> = {};
    for (const { name } of rows) {
      const dump = await client.query<{ row: string }>(`select t::text as row from "${name}" t`);
      const values = await client.query<Record<string, unknown>>(`select * from "${name}"`);
      const bytes = values.rows.flatMap((row) => Object.values(row).filter((value) => Buffer.isBuffer(value)));
      tables[name] = Buffer.concat([Buffer.from(dump.rows.map(({ row }) => row).join('\n')), ...bytes]);
    }
    return tables;
  } finally {
    await client.end();
  }
}

test('S6: the search finds a secret in each encoding and at each offset', () => {
  const secret = mark('secret');
  const forms: Record<string, string | Buffer> = {
    raw: secret,
    base64: Buffer.from(`x${secret}y`).toString('base64'),
    base64url: Buffer.from(`xy${secret}z`).toString('base64url'),
    hex: Buffer.from(secret).toString('hex').toUpperCase(),
    'percent-encoded': encodeURIComponent(secret),
    'JSON-escaped': JSON.stringify({ text: JSON.stringify({ secret }) }),
    'UTF-16': Buffer.from(secret, 'utf16le'),
  };
  for (const [encoding, form] of Object.entries(forms)) {
    const place = Buffer.concat([Buffer.from('before'), Buffer.from(form), Buffer.from('after')]);
    assert.ok(findSecrets({ secret }, { place }).includes(`secret in place (${encoding})`), encoding);
  }
  assert.deepEqual(findSecrets({ secret }, { place: Buffer.from(mark('other')) }), []);
});

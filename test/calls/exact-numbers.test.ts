import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECRET_KEY, startTestServer, type TestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { connectBrowser } from '../support/user-agent.ts';

const ID = '17841405793187219';
const OTHER = '-90071992547409931.50';

const textOf = async ({ url }: TestServer) => {
  const headers = { authorization: `Bearer ${SECRET_KEY}` };
  return (await fetch(`${url}/api/connection?integration=acme&userId=1`, { headers })).text();
};

test('all digits of numbers in token responses and steps survive storage, requests and refreshes', async (t) => {
  const clock = { now: Date.now() };
  let tokens = 0;
  const provider = await startScriptedProvider(t, ({ path }) => {
    if (path === '/token') tokens += 1;
    if (path === '/me') return { body: `{"account":{"id":${ID}}}` };
    const members =
      `"token_type":"bearer","refresh_token":"rt","expires_in":3600,"user_id":${ID},` +
      `"nested":[{"balance":${OTHER}}]`;
    return { body: path === '/token' ? `{"access_token":"at-${tokens}",${members}}` : '{}' };
  });
  const dataDirectory = temporaryFolder(t);
  const integrations = `integrations:
  acme:
    oauth_client_id: client
    oauth_client_secret: client-secret-CANARY
    oauth_scopes: []
    config: { account: { description: x }, kept: { description: x } }
    auth:
      auth_mode: OAUTH2
      token_url: ${provider.url}/token
      authorization_url: ${provider.url}/authorize
      config_from_token_response: { kept: user_id }
      steps:
        - request: { method: GET, url: '${provider.url}/me' }
          store: { account: account.id }
    requests:
      base_url: ${provider.url}/api/
      headers:
        X-Id: '\${raw.user_id}'
        X-Balance: '\${raw.nested.0.balance}'
        X-Account: '\${config.account} \${config.kept}'
`;
  const options = { now: () => clock.now, integrations, dataDirectory };
  const server = await startTestServer(t, options);
  assert.equal((await connectBrowser(server.url)).status, 'succeeded');

  const assertKept = async (of: TestServer) => {
    const text = await textOf(of);
    assert.ok(text.includes(`"user_id":${ID}`), text);
    assert.ok(text.includes(`"balance":${OTHER}`), text);
    await of.nango.request('acme', '1', { endpoint: 'x' });
    const { headers } = provider.requests.at(-1) ?? assert.fail();
    assert.deepEqual([headers['x-id'], headers['x-balance'], headers['x-account']], [ID, OTHER, `${ID} ${ID}`]);
  };
  await assertKept(server);
  clock.now += 3_600_000;
  await assertKept(server);
  assert.equal(tokens, 2);
  await assertKept(await startTestServer(t, options));
  assert.equal(tokens, 2);
});

test('the API receives all digits of the numbers that a caller sends', async (t) => {
  const provider = await startScriptedProvider(t, () => ({ body: {} }));
  const server = await startTestServer(t, {
    integrations: `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${provider.url}/', headers: { X-Key: '\${api_key}', X-Account: '\${config.account}' } }
`,
  });
  const post = (path: string, body: string) =>
    fetch(`${server.url}/api/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/json' },
      body,
    });
  const key = '"integration":"keyed","userId":"1"';
  const registered = await post(
    'connections',
    `{${key},"credentials":{"api_key":"k","id":${ID}},"additionalConfig":{"account":${ID}}}`,
  );
  assert.equal(registered.status, 201);
  const sent = await post('request', `{${key},"method":"POST","endpoint":"x","body":{"id":${ID},"list":[${OTHER}]}}`);
  assert.equal(sent.status, 200);
  const { headers, body } = provider.requests.at(-1) ?? assert.fail();
  assert.deepEqual([headers['x-account'], body], [ID, `{"id":${ID},"list":[${OTHER}]}`]);
  const read = await fetch(`${server.url}/api/connection?integration=keyed&userId=1`, {
    headers: { authorization: `Bearer ${SECRET_KEY}` },
  });
  assert.match(await read.text(), new RegExp(`"id":${ID}`));
  assert.equal((await post('request', `{"__proto__":{"x":${ID}}}`)).status, 400);
});

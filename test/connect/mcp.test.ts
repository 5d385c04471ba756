import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startMcpServer } from '../support/mcp-server.ts';
import { startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

const BLUEPRINT = `integrations:
  mcp:
    extends_blueprint: mcp
`;

async function connect(url: string, userId: string, additionalConfig?: object) {
  const { attempt, connectUrl, error } = await beginAttempt(url, {
    integration: 'mcp',
    userId,
    ...(additionalConfig ? { additionalConfig } : {}),
  });
  if (error) return { status: 'refused', error };
  await new UserAgent().visit(connectUrl);
  return attemptResult(url, attempt);
}

const LIST_TOOLS = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

test('connects to a remote MCP server by its URL alone, refreshes, and calls it', async (t) => {
  let clock = Date.now();
  const mcp = await startMcpServer(t);
  const server = await startTestServer(t, { integrations: BLUEPRINT, now: () => clock });
  const server_url = mcp.url;
  assert.deepEqual(await connect(server.url, '1', { server_url }), { status: 'succeeded', error: null });
  const list = async () =>
    (await server.nango.request('mcp', '1', { method: 'POST', endpoint: '', body: LIST_TOOLS })).returnValue;
  assert.match((await list()).data, /"greet"/);

  const before = (await server.nango.getConnection('mcp', '1')).returnValue;
  clock += 3_600_000;
  const after = (await server.nango.getConnection('mcp', '1')).returnValue;
  assert.notEqual(after.credentials['access_token'], before.credentials['access_token']);
  assert.equal(after.credentials['grant'], undefined);
  assert.deepEqual(mcp.provider.resources, [mcp.url]);
  assert.match((await list()).data, /"greet"/);

  assert.equal((await connect(server.url, '2', { server_url })).status, 'succeeded');
  // All users share one client. It was registered once, and is stored sealed.
  assert.equal(mcp.provider.clientsStore['clients'].size, 1);
});

test('the Integration can set one URL for all connections', async (t) => {
  const mcp = await startMcpServer(t);
  const integrations = `${BLUEPRINT}    config: { server_url: { default: ${mcp.url} } }\n`;
  const server = await startTestServer(t, { integrations });
  assert.equal((await connect(server.url, '1')).status, 'succeeded');
});

test('a connection without a URL, or with an invalid one, is rejected by name', async (t) => {
  const server = await startTestServer(t, { integrations: BLUEPRINT });
  for (const [additionalConfig, message] of [
    [undefined, /server_url \(Server URL, such as "https:\/\/mcp.example.com\/mcp"\) is required/],
    [{ server_url: 'mcp' }, /server_url .* must match/],
  ] as const) {
    const { error } = await connect(server.url, '1', additionalConfig);
    assert.equal(error?.type, 'invalid_request');
    assert.match(error?.message ?? '', message);
  }
});

/** A resource and an authorization server on one origin, whose responses a test chooses. */
async function startScripted(t: TestContext, answers: Record<string, object>) {
  const provider = await startScriptedProvider(t, ({ path }) => ({
    status: answers[path] ? 200 : 404,
    body: answers[path] ?? '',
  }));
  const fill = (text: string) => text.replaceAll('ORIGIN', provider.url);
  for (const [path, answer] of Object.entries(answers))
    answers[path] = JSON.parse(fill(JSON.stringify(answer))) as object;
  const server = await startTestServer(t, { integrations: BLUEPRINT });
  return { provider, connect: () => connect(server.url, '1', { server_url: `${provider.url}/mcp` }) };
}

const RESOURCE = { resource: 'ORIGIN/mcp', authorization_servers: ['ORIGIN'] };
const SERVER = {
  issuer: 'ORIGIN',
  authorization_endpoint: 'ORIGIN/authorize',
  token_endpoint: 'ORIGIN/token',
  registration_endpoint: 'ORIGIN/register',
};

for (const [name, answers, message] of [
  [
    'no metadata anywhere',
    {},
    /protected resource metadata .* was not found at any of these URLs: .*oauth-protected-resource\/mcp/,
  ],
  [
    'metadata of another resource (RFC 9728 §3.3)',
    { '/.well-known/oauth-protected-resource/mcp': { ...RESOURCE, resource: 'https://other.example/mcp' } },
    /it is about https:\/\/other.example\/mcp/,
  ],
  [
    'metadata of another issuer (RFC 8414 §3.3)',
    {
      '/.well-known/oauth-protected-resource/mcp': RESOURCE,
      '/.well-known/oauth-authorization-server': { ...SERVER, issuer: 'https://evil.example' },
    },
    /names the issuer "https:\/\/evil.example"/,
  ],
  [
    'endpoints by http outside this machine',
    {
      '/.well-known/oauth-protected-resource/mcp': RESOURCE,
      '/.well-known/oauth-authorization-server': { ...SERVER, token_endpoint: 'http://evil.example/token' },
    },
    /evil\.example.*only https/,
  ],
  [
    'no registration endpoint',
    {
      '/.well-known/oauth-protected-resource/mcp': RESOURCE,
      '/.well-known/oauth-authorization-server': { ...SERVER, registration_endpoint: undefined },
    },
    /does not register clients dynamically/,
  ],
  [
    'a registration without client_id',
    {
      '/.well-known/oauth-protected-resource/mcp': RESOURCE,
      '/.well-known/oauth-authorization-server': SERVER,
      '/register': { client_secret: 'CANARY' },
    },
    /without a usable client_id/,
  ],
] as const) {
  test(`${name} is provider_error, and the message names the problem`, async (t) => {
    const { connect: attempt } = await startScripted(t, { ...answers });
    const { error } = await attempt();
    assert.equal(error?.type, 'provider_error');
    assert.match(error?.message ?? '', message);
    assert.ok(!error?.message.includes('CANARY'));
  });
}

test('the next attempt registers a new client if the authorization server has lost the client', async (t) => {
  const mcp = await startMcpServer(t);
  const server = await startTestServer(t, { integrations: BLUEPRINT });
  const server_url = mcp.url;
  assert.equal((await connect(server.url, '1', { server_url })).status, 'succeeded');
  const { clients } = mcp.provider.clientsStore as unknown as { clients: Map<string, unknown> };
  const begun = await beginAttempt(server.url, { integration: 'mcp', userId: '2', additionalConfig: { server_url } });
  const agent = new UserAgent();
  const { url: callback } = await agent.visit(begun.connectUrl, { until: /\/oauth\/callback/ });
  clients.clear();
  await agent.request(callback);
  assert.equal((await attemptResult(server.url, begun.attempt)).error?.type, 'token_exchange_failed');
  assert.equal((await connect(server.url, '2', { server_url })).status, 'succeeded');
});

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { listen } from '../support/listen.ts';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { attemptResult, beginAttempt, UserAgent } from '../support/user-agent.ts';

/** A server on the customer’s own domain, which redirects callbacks as the guide says. */
async function startOwnDomain(t: TestContext) {
  let root = '';
  const server = createServer(({ url = '', method }, response) => {
    const query = url.includes('?') ? url.slice(url.indexOf('?')) : '';
    response.writeHead(method === 'POST' ? 307 : 302, { location: `${root}/oauth/callback${query}` }).end();
  });
  const callbackUrl = `http://localhost:${await listen(t, server)}/connected/acme`;
  return { callbackUrl, leadTo: (url: string) => (root = url) };
}

async function start(t: TestContext, auth = '') {
  const provider = await startScriptedProvider(t, () => ({ body: { access_token: 'at', token_type: 'bearer' } }));
  const domain = await startOwnDomain(t);
  const settings = `    callback_url: ${domain.callbackUrl}`;
  const acme = scriptedIntegration(provider.url, { settings, auth });
  const plain = scriptedIntegration(provider.url, { name: 'plain' });
  const server = await startTestServer(t, { integrations: `integrations:${acme}${plain}` });
  domain.leadTo(server.url);
  const agent = new UserAgent();
  const authorize = async (integration: string) => {
    const { attempt, connectUrl } = await beginAttempt(server.url, { integration });
    const location = (await agent.request(connectUrl)).headers.get('location') ?? '';
    return { attempt, query: new URL(location).searchParams };
  };
  return { server, provider, agent, authorize, callbackUrl: domain.callbackUrl };
}

test('callback_url is the redirect_uri of both requests, and leads the browser to this server', async (t) => {
  const { server, provider, agent, authorize, callbackUrl } = await start(t);
  const { attempt, query } = await authorize('acme');
  assert.equal(query.get('redirect_uri'), callbackUrl);
  const { response } = await agent.visit(`${callbackUrl}?code=c&state=${query.get('state')}`);
  assert.equal(response.status, 200);
  assert.equal((await attemptResult(server.url, attempt)).status, 'succeeded');
  assert.equal(provider.requests.at(-1)?.form.get('redirect_uri'), callbackUrl);
  const other = await authorize('plain');
  assert.equal(other.query.get('redirect_uri'), `${server.url}/oauth/callback`);
});

test('a form response arrives by way of callback_url, too', async (t) => {
  const formPost = '      authorization_params: { response_mode: form_post }';
  const { server, agent, authorize, callbackUrl } = await start(t, formPost);
  const { attempt, query } = await authorize('acme');
  // A browser repeats the POST request after 307, and sends it no cookie of SameSite=Lax.
  let location = callbackUrl;
  for (const status of [307, 303]) {
    const form = new URLSearchParams({ code: 'c', state: query.get('state') ?? '' });
    const response = await fetch(location, { method: 'POST', body: form, redirect: 'manual' });
    assert.equal(response.status, status);
    location = response.headers.get('location') ?? '';
  }
  assert.equal((await agent.request(location)).status, 200);
  assert.equal((await attemptResult(server.url, attempt)).status, 'succeeded');
});

test('the server names the redirect URI to register for each Integration', async (t) => {
  const { server, callbackUrl } = await start(t);
  const { integrations } = (await server.nango.connect()).returnValue;
  assert.deepEqual(
    integrations.map((integration) => [integration.name, integration.callbackUrl]),
    [
      ['acme', callbackUrl],
      ['plain', `${server.url}/oauth/callback`],
    ],
  );
});

test('callback_url is the oauth_callback of OAuth 1.0a, with the state', async (t) => {
  const provider = await startScriptedProvider(t, () => ({
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true',
  }));
  const callbackUrl = 'https://connect.example.com/acme?app=1';
  const server = await startTestServer(t, {
    integrations: `integrations:
  acme:
    oauth_client_id: id
    oauth_client_secret: secret
    oauth_scopes: []
    callback_url: ${callbackUrl}
    auth:
      auth_mode: OAUTH1
      request_url: ${provider.url}/request
      authorization_url: ${provider.url}/authorize
      token_url: ${provider.url}/token
      signature_method: HMAC-SHA1
    requests: { base_url: '${provider.url}/' }
`,
  });
  const { connectUrl } = await beginAttempt(server.url);
  await new UserAgent().request(connectUrl);
  const header = provider.requests[0]?.headers.authorization ?? '';
  const callback = decodeURIComponent(/oauth_callback="([^"]+)"/.exec(header)?.[1] ?? '');
  assert.match(callback, /^https:\/\/connect\.example\.com\/acme\?app=1&state=[\w-]{43}$/);
});

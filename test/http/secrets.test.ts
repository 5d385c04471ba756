import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestServer, SECRET_KEY } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { beginAttempt, UserAgent } from '../support/user-agent.ts';

const SECRETS = {
  clientSecret: 'client-secret-CANARY-7f3a',
  accessToken: 'access-token-CANARY-11',
  refreshToken: 'refresh-token-CANARY-22',
  code: 'code-CANARY-33',
  apiKey: 'api-key-CANARY-44',
  extra: 'raw-extra-CANARY-55',
  secretKey: SECRET_KEY,
};

const LEAKY_ACTION = `import { NangoAction } from '@nangohq/action';
export class AcmeFailAction extends NangoAction {
  override async executeAction() {
    await this.httpRequest('x', 'GET');
    throw new Error('failed on purpose');
  }
}`;

/** The text of every file below a folder. */
function textOf(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'latin1'))
    .join('\n');
}

test('S6, P13: no secret reaches a log, a page, an error or the disk in any flow', async (t) => {
  let clock = Date.now();
  let tokenResponse: object = {
    access_token: SECRETS.accessToken,
    refresh_token: SECRETS.refreshToken,
    expires_in: 100,
    extra: SECRETS.extra,
  };
  const provider = await startScriptedProvider(t, ({ path, body, headers }) => {
    if (path === '/token')
      return 'access_token' in tokenResponse
        ? { body: tokenResponse }
        : { status: 500, headers: { 'content-type': 'text/html' }, body: `<p>${body} ${headers.authorization}` };
    return { status: 401, body: { error: 'unauthorized' } };
  });
  const integrations = `integrations:${scriptedIntegration(provider.url)}
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'http://localhost:1/', headers: { X-Key: '\${api_key}' } }
`;
  const server = await startTestServer(t, {
    integrations,
    files: { 'acme/fail.action.ts': LEAKY_ACTION },
    now: () => clock,
  });
  const agent = new UserAgent();
  const shown: string[] = [];
  const failure = async (work: Promise<unknown>) =>
    void (await work.then(
      () => assert.fail('it did not fail'),
      (error: Error) => shown.push(error.message, error.stack ?? '', JSON.stringify(error)),
    ));

  const connect = async (userId: string) => {
    const { connectUrl, attempt } = await beginAttempt(server.url, { userId });
    const location = (await agent.request(connectUrl)).headers.get('location') ?? '';
    const state = new URL(location).searchParams.get('state');
    const response = await agent.request(`${server.url}/oauth/callback?state=${state}&code=${SECRETS.code}`);
    shown.push(
      location,
      JSON.stringify([...response.headers]),
      await response.text(),
      await (await fetch(`${server.url}/oauth/attempts/${attempt}`)).text(),
    );
  };
  await connect('1');
  await failure(server.nango.triggerAction('acme', 'fail', '1'));
  shown.push(JSON.stringify(await server.nango.request('acme', '1', { endpoint: 'x' })));
  clock += 60_000;
  await server.nango.getConnection('acme', '1');
  // From here on the token endpoint responds with an error page that repeats the request.
  tokenResponse = {};
  clock += 60_000;
  clock += 100_000;
  await failure(server.nango.getConnection('acme', '1'));
  await connect('2');
  await server.nango.registerConnection('keyed', '1', { api_key: SECRETS.apiKey });
  await failure(server.nango.registerConnection('keyed', '1', { api_key: SECRETS.apiKey }));
  await failure(server.nango.registerConnection('keyed', '2', { api_key: `${SECRETS.apiKey}\r\n` }));
  await failure(server.nango.request('keyed', '1', { endpoint: 'x' }));
  shown.push(
    (await server.api('GET', '/api/connections')).body as string,
    JSON.stringify((await server.api('GET', '/api/server')).body),
  );

  const everywhere = { shown: shown.join('\n'), log: server.log(), disk: textOf(server.dataDirectory) };
  for (const [place, text] of Object.entries(everywhere)) {
    assert.ok(text.length > 500, place);
    for (const [name, secret] of Object.entries(SECRETS)) {
      const forms = [
        secret,
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(2, -2),
        Buffer.from(secret).toString('hex'),
      ];
      for (const form of forms) assert.ok(!text.includes(form), `${name} is in ${place}`);
    }
  }
  // The test can find a secret, so the search works.
  assert.ok(JSON.stringify(provider.requests).includes(SECRETS.code));
});

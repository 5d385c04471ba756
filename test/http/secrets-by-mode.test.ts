import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { filesOf, findSecrets, type Places } from '../support/find-secrets.ts';
import { SECRET_KEY, startTestServer, type TestServer } from '../support/nango-server.ts';
import {
  FAILURES,
  PEM,
  SECRETS,
  startRepeatingProvider,
  type RepeatingProvider,
} from '../support/repeating-provider.ts';
import { beginAttempt, UserAgent } from '../support/user-agent.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const CLIENT = `oauth_client_secret: '${SECRETS.clientSecret}'`;
const KEY_CLIENT = `oauth_client_secret: ${JSON.stringify(PEM)}`;
const APP = `app_api_key: '${SECRETS.appApiKey}'`;

const oauth2 = (url: string, auth = '', client = CLIENT) => `
    oauth_client_id: client-1
    ${client}
    ${APP}
    oauth_scopes: [read]
    auth: { auth_mode: OAUTH2, token_url: '${url}/token', token_headers: { X-App: '\${app_api_key}' }${auth} }
    requests:
      base_url: '${url}/api/'
      headers: { Authorization: 'Bearer \${access_token}', X-App: '\${app_api_key}' }`;

const oauth1 = (url: string, { id, method, client = CLIENT }: { id: string; method: string; client?: string }) => `
    oauth_client_id: ${id}
    ${client}
    oauth_scopes: []
    auth:
      auth_mode: OAUTH1
      request_url: '${url}/request'
      authorization_url: '${url}/authorize'
      token_url: '${url}/credentials'
      signature_method: ${method}
      steps: [{ request: { method: GET, url: '${url}/step' }, store: { account: id } }]
    config: { account: { optional: true } }
    requests: { base_url: '${url}/api/' }`;

/** One Integration for each way to authenticate. */
function integrationsOf(url: string): string {
  const code = `, authorization_url: '${url}/authorize'`;
  const app = `X-App: '\${app_api_key}'`;
  const basic = `X-Basic: '\${oauth_client_basic_encoded}'`;
  const bearer = `Authorization: 'Bearer \${access_token}'`;
  const bodyOf = (name: string) => `{ sent: '\${${name}}', held: '\${access_token}' }`;
  const request = (path: string, name: string, headers = `${app}, ${basic}`) =>
    `{ url: '${url}${path}', headers: { ${headers} }, body: ${bodyOf(name)} }`;
  const step = `{ method: GET, url: '${url}/step', headers: { ${bearer}, ${app} } }`;
  const exchange = request('/exchange', 'oauth_client_secret', app);
  const refresh = request('/token', 'refresh_token');
  const revocation = request('/revoke', 'refresh_token');
  const jwtBearer = `, token_params: { grant_type: '${JWT_BEARER}' }`;
  const privateKey = `credentials: { private_key: { label: Key } }`;
  const registering = `
    oauth_scopes: [read]
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Bearer \${access_token}' } }`;
  return `integrations:
  acme:${oauth2(url, `${code}, revocation_url: '${url}/revoke'`)}
  post:${oauth2(url, `${code}, authorization_method: body, body_format: json`)}
  query:${oauth2(url, `${code}, authorization_method: body, token_http_method: GET`)}
  public:${oauth2(url, `${code}, authorization_method: none, code_challenge_method: plain`)}
  asserted:${oauth2(url, `${code}, authorization_method: private_key_jwt`, KEY_CLIENT)}
  hashed:${oauth2(url, `${code}, authorization_method: client_secret_jwt`)}
  stepped:${oauth2(url, `${code}, steps: [{ request: ${step}, store: { account: id } }]`)}
    config: { account: { optional: true } }
  twostep:${oauth2(url, `${code}, steps: [{ request: ${exchange}, token: true }]`)}
  own:${oauth2(url, `${code}, refresh_request: ${refresh}, revocation_request: ${revocation}`)}
  machine:${oauth2(url, `, token_params: { grant_type: client_credentials }`)}
  login:${oauth2(url, `, token_params: { grant_type: password }, keep_password: true`)}
  service:${oauth2(url, `${jwtBearer}, ${privateKey}, assertion: { key: '\${raw.private_key}' }`)}
  appservice:${oauth2(url, `${jwtBearer}, assertion: { key: '\${oauth_client_secret}', algorithm: HS256 }`)}
  device:${oauth2(url, `, device_authorization_url: '${url}/device'`)}
  discovered:${registering}
    auth: { auth_mode: OAUTH2, issuer: '${url}', client_metadata: { client_name: Test } }
  unregistered:${registering}
    auth: { auth_mode: OAUTH2, issuer: '${url}', client_metadata: { client_name: Other } }
  mcp:
    extends_blueprint: mcp
    config: { server_url: { default: '${url}/mcp' } }
  plain:${oauth1(url, { id: 'plain', method: 'PLAINTEXT' })}
  hmac:${oauth1(url, { id: 'hmac', method: 'HMAC-SHA256' })}
  rsa:${oauth1(url, { id: 'rsa', method: 'RSA-SHA1', client: KEY_CLIENT })}
  keyed:
    auth: { auth_mode: API_KEY, verification: { endpoint: me } }
    requests: { base_url: '${url}/api/', params: { key: '\${api_key}' }, pagination: { type: link } }
  basic:
    auth: { auth_mode: USERNAME_PASSWORD, verification: { endpoint: me } }
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Basic \${basic_auth_encoded}' } }
  exchanged:
    ${APP}
    auth:
      auth_mode: USERNAME_PASSWORD
      token_request:
        url: '${url}/exchange'
        headers: { ${app} }
        body: { user: '\${username}', pass: '\${password}' }
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Bearer \${access_token}' } }
  swapped:
    auth: { auth_mode: API_KEY, token_request: { method: GET, url: '${url}/exchange', params: { key: '\${api_key}' } } }
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Bearer \${access_token}' } }
  minted:
    auth:
      auth_mode: JWT
      ${privateKey}
      jwt: { key: '\${raw.private_key}' }
      verification: { endpoint: me }
    requests: { base_url: '${url}/api/' }
  aws:
    auth: { auth_mode: AWS_SIGV4, service: s3, region: eu-west-1, verification: { endpoint: me } }
    requests: { base_url: '${url}/api/' }
`;
}

const OAUTH1 = ['plain', 'hmac', 'rsa'];
const OAUTH2 = ['acme', 'post', 'query', 'public', 'asserted', 'hashed', 'stepped', 'twostep', 'own'];
const BY_BROWSER = [...OAUTH2, 'discovered', 'mcp', ...OAUTH1];
const PASSWORD = { username: 'ada', password: SECRETS.password };
const PROMPTED: Record<string, Record<string, string>> = {
  machine: {},
  login: PASSWORD,
  service: { private_key: PEM },
  appservice: {},
  keyed: { api_key: SECRETS.apiKey },
  basic: PASSWORD,
  exchanged: PASSWORD,
  swapped: { api_key: SECRETS.apiKey },
  minted: { private_key: PEM },
  aws: { access_key_id: 'AKID', secret_access_key: SECRETS.awsKey, session_token: SECRETS.awsSession },
};
const NAMES = [...BY_BROWSER, ...Object.keys(PROMPTED), 'device'];

/** An application, its page and its user’s browser, which keep everything that the server showed them. */
class Audience {
  readonly #server: TestServer;
  readonly #provider: RepeatingProvider;
  /** All output of the server, except the responses that return credentials. */
  readonly shown: string[] = [];
  /** The secrets that only pages and browsers get. */
  readonly given = new Map<string, string>();

  constructor(server: TestServer, provider: RepeatingProvider) {
    this.#server = server;
    this.#provider = provider;
  }

  /** Calls the API. Resolves to the status. Keeps the bodies of errors, and with `keep` every body. */
  async call(method: string, path: string, body?: object, { keep = false } = {}): Promise<number> {
    const response = await this.#server.api(method, path, body);
    if (keep || response.status >= 400) this.#see(response.body);
    return response.status;
  }

  async connectAll(): Promise<void> {
    for (const integration of BY_BROWSER) await this.browse(integration);
    for (const [integration, credentials] of Object.entries(PROMPTED)) await this.prompt(integration, credentials);
    const begun = await this.#server.api('POST', '/api/device-authorizations', { integration: 'device', userId: '1' });
    const { attempt } = begun.body as { attempt?: string };
    if (attempt === undefined) this.#see(begun.body);
    else await this.call('POST', '/api/device-authorizations/poll', { attempt });
  }

  async prompt(integration: string, credentials: object): Promise<void> {
    const response = await fetch(`${this.#server.url}/oauth/attempts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'http://localhost:1' },
      body: JSON.stringify({ integration, userId: '1', credentials }),
    });
    if (response.ok) this.#give(integration, { ...((await response.json()) as object) });
    else this.#see([...response.headers], await response.text());
  }

  /** Takes a browser to the provider and back. Only the provider gets the address at the provider. */
  async browse(integration: string, moreOf = (_state: string): Record<string, string> => ({})): Promise<void> {
    const { url } = this.#server;
    const session = await this.#server.api('POST', '/api/connect-sessions', { userId: '1' });
    const { token } = session.body as { token: string };
    const agent = new UserAgent();
    const { attempt, connectUrl, nonce } = await beginAttempt(url, { integration, token });
    this.#give(integration, { token, attempt, nonce });
    const { origin, pathname } = new URL(connectUrl);
    const begun = await agent.request(origin + pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin },
      body: JSON.stringify({ attempt, nonce }),
    });
    const cookie = begun.headers.getSetCookie()[0]?.split(/[=;]/)[1];
    const { authorizationUrl, ...error } = (await begun.json()) as { authorizationUrl?: string };
    this.#see(error);
    const target = new URL(authorizationUrl ?? 'http://localhost/');
    const state = target.searchParams.get('state') ?? this.#provider.states.get(integration) ?? '';
    this.#give(integration, { cookie, state });
    const { code, oauth1Token } = SECRETS;
    const sent = { state, code, oauth_token: oauth1Token, oauth_verifier: code, ...moreOf(state) };
    const done = await agent.request(`${url}/oauth/callback?${new URLSearchParams(sent).toString()}`);
    this.#see([...done.headers], await done.text());
    this.#see(await (await fetch(`${url}/oauth/attempts/${attempt}`)).text());
    // A link that was used already.
    this.#see(await (await agent.request(connectUrl)).text());
  }

  #see(...values: unknown[]): void {
    this.shown.push(...values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))));
  }

  /** The latest output of each kind, so that the search is short. */
  #give(integration: string, secrets: Readonly<Record<string, unknown>>): void {
    for (const name of ['token', 'attempt', 'nonce', 'cookie', 'state']) {
      const secret = secrets[name];
      if (typeof secret === 'string' && secret !== '') this.given.set(`${name} of ${integration}`, secret);
    }
  }
}

/** The output of the server for others: its log, its disk, its spans and its metrics. */
async function writtenBy(server: TestServer, spans: ReadonlySet<string>): Promise<Places> {
  const headers = { authorization: `Bearer ${SECRET_KEY}` };
  const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
  return {
    log: Buffer.from(server.log()),
    traces: Buffer.from([...spans].join('\n')),
    metrics: Buffer.from(metrics),
    ...filesOf(server.dataDirectory),
  };
}

async function failureOf(pages: AsyncIterable<unknown>): Promise<string> {
  try {
    for await (const page of pages) assert.ok(page);
  } catch (error) {
    return String(error);
  }
  return assert.fail('it followed the link');
}

/** One span of each kind that the server prints, without ids and times. */
function spansOf(t: TestContext): ReadonlySet<string> {
  const spans = new Set<string>();
  const unique = { id: '', traceId: '', parentSpanContext: {}, timestamp: 0, duration: 0 };
  t.mock.method(console, 'dir', (span: object) => void spans.add(inspect({ ...span, ...unique }, { depth: 9 })));
  return spans;
}

test('S6, P13: no secret of any auth mode reaches a log, error, page, trace or disk in any encoding', async (t) => {
  // It moves with each call, because a user keeps only their newest attempts.
  let clock = Date.now();
  const spans = spansOf(t);
  const provider = await startRepeatingProvider(t);
  const tracing = { exporter: 'console', sampler: 'always_on', samplerArgument: 1 } as const;
  const server = await startTestServer(t, {
    integrations: integrationsOf(provider.url),
    now: () => (clock += 1),
    tracing,
  });
  const audience = new Audience(server, provider);

  for (const [failure, repeat] of FAILURES) {
    provider.failure = undefined;
    await audience.connectAll();
    for (const integration of NAMES) {
      const status = await audience.call('GET', `/api/connection?integration=${integration}&userId=1`);
      assert.equal(status, 200, `${integration} before ${failure}`);
    }
    // From here on the provider repeats the input of API calls, refreshes, revocations and new connections.
    provider.failure = repeat;
    clock += 200_000;
    for (const integration of NAMES) {
      const key = { integration, userId: '1' };
      await audience.call('POST', '/api/request', { ...key, method: 'GET', endpoint: 'x' });
      await audience.call('GET', `/api/connection?integration=${integration}&userId=1`);
      await audience.call('DELETE', `/api/connection?integration=${integration}&userId=1&revoke=true`);
    }
    await audience.connectAll();
    await audience.browse('unregistered');
    for (const [integration, credentials] of Object.entries(PROMPTED)) {
      const key = { integration, userId: '2' };
      await audience.call('POST', '/api/connections', { ...key, credentials });
      await audience.call('POST', '/api/connections', { ...key, credentials: { ...credentials, raw: 7, x: '\0' } });
    }
  }

  provider.failure = undefined;
  await audience.connectAll();
  // The provider rejects the callback, and its message repeats the parameters from the browser.
  for (const integration of BY_BROWSER) {
    const { code, oauth1Token } = SECRETS;
    await audience.browse(integration, (state) => ({ error: code, error_description: `${code} ${state}` }));
    await audience.browse(integration, () => ({ iss: `https://evil.example/${encodeURIComponent(code)}` }));
    await audience.browse(integration, (state) => ({ oauth_problem: `${oauth1Token} ${code} ${state}` }));
  }
  audience.shown.push(await failureOf(server.nango.paginate('keyed', '1', { endpoint: 'items' })));
  for (const path of ['/api/connections', '/api/events?limit=100'])
    assert.equal(await audience.call('GET', path, undefined, { keep: true }), 200);

  const secrets = { ...SECRETS, ...Object.fromEntries(provider.made) };
  const written = await writtenBy(server, spans);
  const shown = Buffer.from(audience.shown.join('\n'));
  for (const [place, bytes] of Object.entries({ ...written, shown })) assert.ok(bytes.length > 0, place);
  assert.deepEqual(findSecrets(secrets, { ...written, shown }), []);
  assert.deepEqual(findSecrets(Object.fromEntries(audience.given), written), []);

  // The provider received the secrets, and messages were masked.
  const sent = JSON.stringify(provider.requests.map(({ headers, body, form }) => [headers, body, [...form.values()]]));
  for (const name of ['password', 'deviceCode', 'refreshToken', 'code', 'appApiKey', 'accessToken'] as const)
    assert.ok(sent.includes(JSON.stringify(SECRETS[name]).slice(1, -1)), name);
  for (const text of [shown.toString(), server.log()]) assert.ok(text.split('[secret]').length > 100);
  assert.ok(spans.size > 10);
});

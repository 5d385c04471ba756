import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SECRET_KEY, startTestServer, type TestServer } from '../support/nango-server.ts';
import { startScriptedProvider, type ScriptedResponse, type SeenRequest } from '../support/scripted-provider.ts';
import { beginAttempt, UserAgent } from '../support/user-agent.ts';

const PEM = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Marked secrets: what the application configures, what users are prompted for, what the provider issues. */
const SECRETS = {
  secretKey: SECRET_KEY,
  clientSecret: 'cl/CANARY+client"1',
  appApiKey: 'ap/CANARY+app"2',
  password: 'pw/CANARY+word"3',
  apiKey: 'ak/CANARY+key"4',
  awsKey: 'aw/CANARY+aws"5',
  awsSession: 'as/CANARY+session"6',
  accessToken: 'at/CANARY+access"7',
  refreshToken: 'rt/CANARY+refresh"8',
  oauth1Token: 'ot/CANARY+token"9',
  oauth1Secret: 'os/CANARY+shared"10',
  deviceCode: 'dc/CANARY+device"11',
  code: 'co/CANARY+code"12',
  extra: 'ex/CANARY+extra"13',
  registered: 'rg/CANARY+registered"14',
  pem: PEM.split('\n')[5] ?? '',
};

/** What a provider gives when all goes well, by the path that it is asked at. */
function granted({ path, form }: SeenRequest, url: string): ScriptedResponse {
  const tokens = { access_token: SECRETS.accessToken, refresh_token: SECRETS.refreshToken, expires_in: 100 };
  if (path === '/.well-known/oauth-authorization-server')
    return {
      body: {
        issuer: url,
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/token`,
        registration_endpoint: `${url}/register`,
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
      },
    };
  if (path === '/register') return { status: 201, body: { client_id: 'c', client_secret: SECRETS.registered } };
  if (path === '/request' || path === '/credentials')
    return {
      body: new URLSearchParams({
        oauth_token: SECRETS.oauth1Token,
        oauth_token_secret: SECRETS.oauth1Secret,
        oauth_callback_confirmed: 'true',
      }).toString(),
    };
  if (path === '/device')
    return {
      body: {
        device_code: SECRETS.deviceCode,
        user_code: 'USER',
        verification_uri: 'https://acme.example/device',
        expires_in: 600,
      },
    };
  if (path === '/token') return { body: { ...tokens, extra: SECRETS.extra, grant: form.get('grant_type') } };
  if (path === '/exchange') return { body: { access_token: SECRETS.accessToken, expires_in: 100 } };
  if (path === '/step') return { body: { id: 'account-1' } };
  return { body: {} };
}

/** How a page may repeat what it was sent. */
const ENCODINGS: readonly ((text: string) => string)[] = [
  (text) => text,
  encodeURIComponent,
  (text) => encodeURIComponent(encodeURIComponent(text)),
  (text) => JSON.stringify(text),
  (text) => Buffer.from(text).toString('base64'),
  (text) => Buffer.from(`:${text}`).toString('base64url'),
  (text) => Buffer.from(text).toString('hex'),
];

/** An error that repeats the values that were sent, what is marked first: a message quotes the beginning alone. */
function repeated({ query, headers, body, form }: SeenRequest, encode: (text: string) => string): ScriptedResponse {
  const basic = Buffer.from(headers.authorization?.replace(/^\w+ /, '') ?? '', 'base64').toString('latin1');
  const members = body.startsWith('{') ? Object.values(JSON.parse(body) as object).map(String) : [];
  const values = [...form.values(), ...members, ...query.values(), decoded(basic), headers.authorization ?? ''];
  const marked = values.filter((value) => value.includes('CANARY'));
  return { status: 400, body: { error: 'invalid_request', error_description: marked.map(encode).join(' ') } };
}

function decoded(text: string): string {
  return URL.canParse(`x:${text}`) && /%2F/.test(text) ? decodeURIComponent(text.replaceAll('+', ' ')) : text;
}

const oauth2 = (url: string, auth = '') => `
    oauth_client_id: client-1
    oauth_client_secret: '${SECRETS.clientSecret}'
    app_api_key: '${SECRETS.appApiKey}'
    oauth_scopes: [read]
    auth: { auth_mode: OAUTH2, token_url: '${url}/token'${auth} }
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Bearer \${access_token}', X-App: '\${app_api_key}' } }`;

/** One Integration for each way to authenticate. */
const integrationsOf = (url: string) => `integrations:
  acme:${oauth2(url, `, authorization_url: '${url}/authorize', revocation_url: '${url}/revoke'`)}
  post:${oauth2(url, `, authorization_url: '${url}/authorize', authorization_method: body, body_format: json`)}
  stepped:${oauth2(url, `, authorization_url: '${url}/authorize', steps: [{ request: { method: GET, url: '${url}/step', headers: { Authorization: 'Bearer \${access_token}', X-App: '\${app_api_key}' } }, store: { account: id } }]`)}
    config: { account: { optional: true } }
  machine:${oauth2(url, `, token_params: { grant_type: client_credentials }`)}
  login:${oauth2(url, `, token_params: { grant_type: password }, keep_password: true`)}
  service:${oauth2(url, `, token_params: { grant_type: '${JWT_BEARER}' }, credentials: { private_key: { label: Key } }, assertion: { key: '\${raw.private_key}' }`)}
  device:${oauth2(url, `, device_authorization_url: '${url}/device'`)}
  discovered:
    oauth_scopes: [read]
    auth: { auth_mode: OAUTH2, issuer: '${url}', client_metadata: { client_name: Test } }
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Bearer \${access_token}' } }
  signed:
    oauth_client_id: client-1
    oauth_client_secret: '${SECRETS.clientSecret}'
    oauth_scopes: []
    auth: { auth_mode: OAUTH1, request_url: '${url}/request', authorization_url: '${url}/authorize', token_url: '${url}/credentials', signature_method: PLAINTEXT }
    requests: { base_url: '${url}/api/' }
  keyed:
    auth: { auth_mode: API_KEY, verification: { endpoint: me } }
    requests: { base_url: '${url}/api/', headers: { X-Key: '\${api_key}' } }
  basic:
    auth: { auth_mode: USERNAME_PASSWORD, verification: { endpoint: me } }
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Basic \${basic_auth_encoded}' } }
  exchanged:
    auth: { auth_mode: USERNAME_PASSWORD, token_request: { url: '${url}/exchange', body: { user: '\${username}', pass: '\${password}' } } }
    requests: { base_url: '${url}/api/', headers: { Authorization: 'Bearer \${access_token}' } }
  minted:
    auth: { auth_mode: JWT, credentials: { private_key: { label: Key } }, jwt: { key: '\${raw.private_key}' }, verification: { endpoint: me } }
    requests: { base_url: '${url}/api/' }
  aws:
    auth: { auth_mode: AWS_SIGV4, service: s3, region: eu-west-1, verification: { endpoint: me } }
    requests: { base_url: '${url}/api/' }
`;

const BY_BROWSER = ['acme', 'post', 'stepped', 'discovered', 'signed'];
const PROMPTED: Record<string, Record<string, string>> = {
  machine: {},
  login: { username: 'ada', password: SECRETS.password },
  service: { private_key: PEM },
  keyed: { api_key: SECRETS.apiKey },
  basic: { username: 'ada', password: SECRETS.password },
  exchanged: { username: 'ada', password: SECRETS.password },
  minted: { private_key: PEM },
  aws: { access_key_id: 'AKID', secret_access_key: SECRETS.awsKey, session_token: SECRETS.awsSession },
};

/** Everything that one server showed to pages and callers, without what it returns as credentials. */
class Shown {
  readonly #server: TestServer;
  readonly texts: string[] = [];

  constructor(server: TestServer) {
    this.#server = server;
  }

  async page(path: string, init?: RequestInit): Promise<string> {
    const response = await fetch(this.#server.url + path, { redirect: 'manual', ...init });
    const text = await response.text();
    this.texts.push(JSON.stringify([...response.headers]), text);
    return text;
  }

  async attempt(integration: string, credentials?: object): Promise<void> {
    const origin = 'http://localhost:1';
    await this.page('/oauth/attempts', {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin },
      body: JSON.stringify({ integration, userId: '1', credentials }),
    });
  }

  /** Takes a browser to the provider and back; what it is sent to the provider with is for the provider. */
  async browser(integration: string): Promise<void> {
    const agent = new UserAgent();
    const { connectUrl, attempt } = await beginAttempt(this.#server.url, { integration, userId: '1' });
    const begun = await agent.request(connectUrl);
    const location = begun.headers.get('location');
    if (location === null) this.texts.push(await begun.text());
    const target = new URL(location ?? 'http://localhost/');
    const callback = new URL(target.searchParams.get('redirect_uri') ?? `${this.#server.url}/oauth/callback`);
    const state = target.searchParams.get('state') ?? this.#stateOf(integration);
    for (const [name, value] of Object.entries({ state, code: SECRETS.code, oauth_token: SECRETS.oauth1Token }))
      callback.searchParams.set(name, value);
    callback.searchParams.set('oauth_verifier', SECRETS.code);
    const done = await agent.request(callback.href);
    this.texts.push(JSON.stringify([...done.headers]), await done.text());
    await this.page(`/oauth/attempts/${attempt}`);
  }

  /** OAuth 1.0a has its state in the callback that the provider was told. */
  #stateOf(integration: string): string {
    return this.states.get(integration) ?? '';
  }

  readonly states = new Map<string, string>();
}

test('S6, P13: no secret of any auth mode reaches a log, an error, a page or the disk, in any encoding', async (t) => {
  let isDown = false;
  let encoding = ENCODINGS[0];
  let clock = Date.now();
  const provider = await startScriptedProvider(t);
  const shown: { current?: Shown } = {};
  provider.answer = (request) => {
    const callback = /oauth_callback="([^"]+)"/.exec(request.headers.authorization ?? '')?.[1];
    if (callback !== undefined) {
      const state = new URL(decodeURIComponent(callback)).searchParams.get('state') ?? '';
      shown.current?.states.set('signed', state);
    }
    const encode = isDown && !request.path.startsWith('/.well-known') ? encoding : undefined;
    return encode ? repeated(request, encode) : granted(request, provider.url);
  };
  const integrations = integrationsOf(provider.url);
  const server = await startTestServer(t, { integrations, now: () => clock });
  const pages = (shown.current = new Shown(server));
  const call = async (method: string, path: string, body?: object) => {
    const answer = await server.api(method, path, body);
    if (answer.status >= 400) pages.texts.push(JSON.stringify(answer.body));
    return answer.status;
  };
  const connectAll = async () => {
    for (const integration of BY_BROWSER) await pages.browser(integration);
    for (const [integration, credentials] of Object.entries(PROMPTED)) await pages.attempt(integration, credentials);
    const begun = await server.api('POST', '/api/device-authorizations', { integration: 'device', userId: '1' });
    const { attempt } = begun.body as { attempt?: string };
    if (attempt === undefined) pages.texts.push(JSON.stringify(begun.body));
    else await call('POST', '/api/device-authorizations/poll', { attempt });
  };
  await connectAll();
  const names = [...BY_BROWSER, ...Object.keys(PROMPTED), 'device'];
  for (const integration of names)
    assert.equal(await call('GET', `/api/connection?integration=${integration}&userId=1`), 200, integration);

  // From here on the provider repeats what it is sent: to API calls, refreshes, revocations and new connections.
  isDown = true;
  clock += 200_000;
  for (encoding of ENCODINGS) {
    for (const integration of names) {
      await call('POST', '/api/request', { integration, userId: '1', method: 'GET', endpoint: 'x' });
      await call('GET', `/api/connection?integration=${integration}&userId=1`);
      clock += 400_000;
    }
    await connectAll();
  }
  for (const [integration, credentials] of Object.entries(PROMPTED)) {
    await call('POST', '/api/connections', { integration, userId: '2', credentials });
    await call('POST', '/api/connections', {
      integration,
      userId: '3',
      credentials: { ...credentials, raw: 7, x: '\0' },
    });
  }
  for (const integration of names)
    await call('DELETE', `/api/connection?integration=${integration}&userId=1&revoke=true`);
  await pages.page('/metrics', { headers: { authorization: `Bearer ${SECRET_KEY}` } });
  await call('GET', '/api/connections');

  const everywhere = { shown: pages.texts.join('\n'), log: server.log(), disk: textOf(server.dataDirectory) };
  for (const [place, text] of Object.entries(everywhere)) {
    assert.ok(text.length > 2_000, place);
    for (const [name, secret] of Object.entries(SECRETS))
      for (const form of formsOf(secret)) assert.ok(!text.includes(form), `${name} is in ${place} as ${form}`);
  }
  // The provider was sent what is looked for.
  const sent = JSON.stringify(provider.requests.map(({ headers, body, form }) => [headers, body, [...form.values()]]));
  for (const name of ['password', 'deviceCode', 'refreshToken', 'code'] as const)
    assert.ok(sent.includes(JSON.stringify(SECRETS[name]).slice(1, -1)), name);
});

/** Every file below a folder, as one text. */
function textOf(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'latin1'))
    .join('\n');
}

/** A secret as it may be written, and the part of its base64 forms that does not depend on what stands around it. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    const core = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [core, core.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const hex = bytes.toString('hex');
  const json = JSON.stringify(secret).slice(1, -1);
  return [secret, json, encodeURIComponent(secret), encodeURIComponent(encodeURIComponent(secret)), hex, ...base64];
}

import { generateKeyPairSync } from 'node:crypto';
import { SECRET_KEY } from './nango-server.ts';
import { startScriptedProvider, type ScriptedResponse, type SeenRequest } from './scripted-provider.ts';
import type { Cleanup } from './temporary-folder.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Marked secrets of the application’s configuration, of the user’s prompts and of the provider. */
export const SECRETS = {
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
  idToken: 'it/CANARY+identity"15',
  brought: 'br/CANARY+brought"16',
  pem: PEM.split('\n')[5] ?? '',
};

/** How a response repeats the secrets of its request. */
type Repeat = (secrets: readonly string[], request: SeenRequest) => ScriptedResponse;

/** The encodings of a text. A message quotes only the beginning of a text, so only a few are used at a time. */
const ENCODINGS: Readonly<Record<string, readonly ((text: string) => string)[]>> = {
  'raw, JSON, HTML': [(text) => text, (text) => JSON.stringify(text), (text) => text.replaceAll('"', '&quot;')],
  'percent-encoded, hex': [
    encodeURIComponent,
    (text) => encodeURIComponent(encodeURIComponent(text)),
    (text) => Buffer.from(text).toString('hex'),
  ],
  // The last one is Basic with its halves reversed.
  base64: [
    (text) => Buffer.from(text).toString('base64'),
    (text) => Buffer.from(`:${text}`).toString('base64url'),
    (text) => `Basic ${Buffer.from(`${text}:client-1`).toString('base64')}`,
  ],
};

const refusals = Object.entries(ENCODINGS).map(([name, encodings]): [string, Repeat] => [
  `a refusal, ${name}`,
  (secrets) => ({
    status: 400,
    body: {
      error: 'invalid_request',
      error_description: encodings.flatMap((encode) => secrets.map((secret) => encode(secret))).join(' '),
    },
  }),
]);

/** Every kind of failure, each with the secrets in it. */
export const FAILURES: ReadonlyMap<string, Repeat> = new Map<string, Repeat>([
  ...refusals,
  ['a page', (secrets) => ({ status: 500, headers: HTML, body: `<h1>Error</h1><p>${secrets.join(' ')}</p>` })],
  ['text', (secrets) => ({ status: 503, headers: { 'content-type': 'text/plain' }, body: secrets.join(' ') })],
  ['a form', (secrets) => ({ status: 400, headers: FORM, body: `error=e&${pairs('error_description', secrets)}` })],
  ['an OAuth 1 problem', (secrets) => ({ status: 401, headers: FORM, body: pairs('oauth_problem', secrets) })],
  ['a challenge', (secrets) => ({ status: 401, headers: { 'www-authenticate': challenge(secrets) }, body: {} })],
  ['an error with status 200', (secrets) => ({ body: { ok: false, error: secrets.join(' ') } })],
  ['an unknown token type', ([first]) => ({ body: { access_token: 'x', token_type: first ?? 'x' } })],
  ['unknown members', (secrets) => ({ body: Object.fromEntries(secrets.map((secret) => [secret, 1])) })],
  ['a redirect', (secrets) => ({ status: 302, headers: { location: `/elsewhere?${pairs('sent', secrets)}` } })],
  ['an error that brings secrets', (_secrets, { path }) => ({ status: 400, body: broughtBy(path) })],
  ['no response', () => 'cut'],
]);

const MADE = ['code_verifier', 'client_assertion', 'assertion'];
// A search for more would take too long.
const KEPT = 60;

const HTML = { 'content-type': 'text/html' };
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

function pairs(name: string, secrets: readonly string[]): string {
  return new URLSearchParams(secrets.map((secret): [string, string] => [name, secret])).toString();
}

function challenge(secrets: readonly string[]): string {
  return `Bearer error_description="${secrets.map(encodeURIComponent).join(' ')}"`;
}

/** The secrets in this endpoint’s usual responses, and an error that repeats them. */
function broughtBy(path: string): string | object {
  const { brought } = SECRETS;
  const problem = { error: 'server_error', error_description: `of ${brought}` };
  if (path === '/request' || path === '/credentials')
    return new URLSearchParams({ oauth_token: brought, oauth_token_secret: brought, problem: brought }).toString();
  if (path === '/device') return { device_code: brought, ...problem };
  if (path === '/register') return { client_secret: brought, ...problem };
  if (path === '/token' || path === '/exchange')
    return { access_token: brought, refresh_token: brought, id_token: brought, ...problem };
  return { error: 'server_error' };
}

/** A provider of every auth mode, which repeats each request as `failure` says. */
export interface RepeatingProvider {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** If undefined, it grants everything. */
  failure: Repeat | undefined;
  /** Secrets that the server made for requests that failed, by their kind. */
  readonly made: Map<string, string>;
  /** The state of each OAuth 1.0a flow, by client id. It is in the callback URL that the provider gets. */
  readonly states: ReadonlyMap<string, string>;
}

export async function startRepeatingProvider(cleanup: Cleanup): Promise<RepeatingProvider> {
  const scripted = await startScriptedProvider(cleanup);
  const made = new Map<string, string>();
  const states = new Map<string, string>();
  const provider: RepeatingProvider = {
    url: scripted.url,
    requests: scripted.requests,
    failure: undefined,
    made,
    states,
  };
  scripted.answer = (request) => {
    const authorization = request.headers.authorization ?? '';
    const [, callback] = /oauth_callback="([^"]+)"/.exec(authorization) ?? [];
    const [, client = ''] = /oauth_consumer_key="([^"]+)"/.exec(authorization) ?? [];
    const state = callback && new URL(decodeURIComponent(callback)).searchParams.get('state');
    if (typeof state === 'string') states.set(client, state);
    for (const name of MADE) {
      const value = request.form.get(name);
      if (value !== null && provider.failure && made.size < KEPT) made.set(`${name} ${made.size}`, value);
    }
    if (typeof state === 'string' && provider.failure && made.size < KEPT) made.set(`state ${made.size}`, state);
    const isMetadata = request.path.startsWith('/.well-known');
    return provider.failure && !isMetadata
      ? provider.failure(secretsIn(request), request)
      : granted(request, scripted.url);
  };
  return provider;
}

/**
 * The marked secrets of a request, and those that the server made. Short ones come first, because a message quotes
 * only the beginning of a text.
 */
function secretsIn({ path, query, headers, body, form }: SeenRequest): string[] {
  const authorization = headers.authorization ?? '';
  const basic = Buffer.from(authorization.replace(/^\w+ /, ''), 'base64').toString('latin1');
  const members = body.startsWith('{') ? Object.values(JSON.parse(body) as object).map(String) : [];
  const signed = [...authorization.matchAll(/ oauth_\w+="([^"]*)"/g)].map(([, value = '']) =>
    decodeURIComponent(value),
  );
  const others = Object.entries(headers).flatMap(([name, value]) => (name === 'authorization' ? [] : String(value)));
  const texts = [...form.values(), ...members, ...query.values(), ...others, ...signed, authorization];
  const marked = [...texts, basic, decoded(basic), ...signed.map(decoded)].filter((text) => /CANARY/.test(text));
  const made = MADE.flatMap((name) => form.get(name) ?? []);
  const states = signed.flatMap((value) => URL.parse(value)?.searchParams.get('state') ?? []);
  return [...new Set([...marked, ...made, ...states, ...knownAt(path, form)])].toSorted((a, b) => a.length - b.length);
}

/** Secrets that the provider knows from earlier requests. */
function knownAt(path: string, form: URLSearchParams): string[] {
  const { appApiKey, accessToken } = SECRETS;
  if (path === '/device') return [appApiKey];
  if (path === '/revoke') return [appApiKey, accessToken];
  return form.get('grant_type') === 'refresh_token' ? [accessToken] : [];
}

function decoded(text: string): string {
  return /%(2[0-9A-F]|25)/.test(text) ? decodeURIComponent(text.replaceAll('+', ' ')) : text;
}

/** The provider’s successful responses, by the path of the request. */
function granted({ path, form }: SeenRequest, url: string): ScriptedResponse {
  const tokens = { access_token: SECRETS.accessToken, refresh_token: SECRETS.refreshToken, expires_in: 100 };
  const responses: Readonly<Record<string, () => ScriptedResponse>> = {
    '/.well-known/oauth-protected-resource/mcp': () => ({
      body: { resource: `${url}/mcp`, authorization_servers: [url] },
    }),
    '/.well-known/oauth-authorization-server': () => ({ body: metadataOf(url) }),
    '/register': () => ({ status: 201, body: { client_id: 'c', client_secret: SECRETS.registered } }),
    '/request': oauth1Credentials,
    '/credentials': oauth1Credentials,
    '/device': () => ({ body: deviceAuthorization }),
    '/token': () => ({
      body: { ...tokens, id_token: SECRETS.idToken, extra: SECRETS.extra, grant: form.get('grant_type') },
    }),
    '/exchange': () => ({ body: { access_token: SECRETS.accessToken, expires_in: 100 } }),
    '/step': () => ({ body: { id: 'account-1' } }),
    '/api/items': () => ({
      body: [{ id: 1 }],
      headers: { link: `<${url}/${encodeURIComponent(SECRETS.apiKey)}/items>; rel="next"` },
    }),
  };
  return responses[path]?.() ?? { body: {} };
}

function metadataOf(url: string): object {
  return {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    registration_endpoint: `${url}/register`,
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
  };
}

function oauth1Credentials(): ScriptedResponse {
  const body = new URLSearchParams({
    oauth_token: SECRETS.oauth1Token,
    oauth_token_secret: SECRETS.oauth1Secret,
    oauth_callback_confirmed: 'true',
  });
  return { body: body.toString() };
}

const deviceAuthorization = {
  device_code: SECRETS.deviceCode,
  user_code: 'USER',
  verification_uri: 'https://acme.example/device',
  expires_in: 600,
};

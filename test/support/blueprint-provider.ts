import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import aws4 from 'aws4';
import { jwtVerify } from 'jose';
import oauthSign from 'oauth-sign';
import { z } from 'zod';

// A provider as a Blueprint’s YAML describes it. It shares no code with the server, so it rejects requests that
// the server makes from a different reading of the YAML.

const text = z.string();
const texts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).default({});

const request = z.object({ method: text.default('POST'), url: text, headers: texts, params: texts, body: texts });

/** The parts of a Blueprint that define a provider. */
export const configuredSchema = z.object({
  auth: z.looseObject({
    auth_mode: text,
    authorization_url: text.optional(),
    token_url: text.optional(),
    refresh_url: text.optional(),
    request_url: text.optional(),
    authorization_params: texts,
    token_params: texts,
    refresh_params: texts,
    refresh_request: request.optional(),
    revocation_url: text.optional(),
    revocation_request: request.optional(),
    token_request: request.optional(),
    jwt: z
      .object({
        algorithm: text,
        key: text,
        key_encoding: text.default('text'),
        key_id: text.optional(),
        claims: texts,
      })
      .optional(),
    authorization_scheme: text.default('Bearer'),
    service: text.optional(),
    region: text.optional(),
    redirect_uri: text.optional(),
    token_headers: texts,
    scope_separator: text.default(' '),
    authorization_method: text.default('header'),
    refresh_authorization_method: text.optional(),
    refresh_with_redirect_uri: z.boolean().default(false),
    basic_encoding: text.default('form'),
    body_format: text.default('form'),
    token_http_method: text.default('POST'),
    request_http_method: text.default('POST'),
    signature_method: text.optional(),
    code_challenge_method: text.default('S256'),
    authorization_parameter_names: texts,
    token_parameter_names: texts,
    callback_parameter_names: texts,
    token_response_paths: texts,
    token_types: z.array(text).default(['bearer']),
    config_from_callback: texts,
    config_from_token_response: texts,
    expires_in_unit: text.default('seconds'),
    token_lifetime_seconds: z.number().optional(),
    steps: z
      .array(
        z.object({
          request: z.object({ method: text.default('POST'), url: text, headers: texts, params: texts }),
          store: texts,
          token: z.boolean().default(false),
        }),
      )
      .default([]),
  }),
  requests: z.object({ base_url: text, headers: texts, params: texts }),
});

export type Described = z.output<typeof configuredSchema>;

/** A request as it arrives. */
export interface Call {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
}

export interface Client {
  readonly id: string;
  readonly secret: string;
  readonly scopes: readonly string[];
  readonly redirectUri: string;
  readonly config: Readonly<Record<string, string>>;
  readonly appApiKey: string;
}

/** Names in responses that `raw.*` reads. */
const RAW: Record<string, string> = { instance_url: 'https://instance.example' };

export class BlueprintProvider {
  readonly #described: Described;
  readonly #client: Client;
  #challenge: string | undefined;
  #tokens = 0;
  #isExchanged = false;
  #isRevoking = false;

  constructor(described: Described, client: Client) {
    this.#described = described;
    this.#client = client;
  }

  /** Authorizes as the user’s browser. Resolves to the parameters of the callback. */
  authorize(address: string): Map<string, string> {
    const { auth } = this.#described;
    const url = new URL(address);
    const expected = new URL(this.#fill(auth.authorization_url ?? ''));
    const place = ({ origin, pathname, hash }: URL) => origin + decodeURIComponent(pathname) + hash;
    assert.equal(place(url), place(expected), 'authorization endpoint');
    const params = new Map(url.searchParams);
    if (auth.auth_mode === 'OAUTH1') return this.#authorize1(params);
    const named = (name: string) => params.get(auth.authorization_parameter_names[name] ?? name);
    if (auth.authorization_parameter_names['client_id'] !== '')
      assert.equal(named('client_id'), this.#client.id, 'client_id');
    assert.equal(named('redirect_uri'), this.#redirectUri, 'redirect_uri');
    if (auth.authorization_parameter_names['response_type'] !== '')
      assert.equal(named('response_type'), 'code', 'response_type');
    const scope = this.#client.scopes.join(auth.scope_separator);
    if (auth.authorization_parameter_names['scope'] !== '') assert.equal(named('scope'), scope, 'scope');
    for (const [name, value] of Object.entries(auth.authorization_params))
      assert.equal(params.get(name), this.#fill(value), `authorization parameter ${name}`);
    const method = auth.code_challenge_method;
    assert.equal(params.get('code_challenge_method') ?? 'none', method, 'PKCE');
    this.#challenge = params.get('code_challenge');
    assert.equal(this.#challenge === undefined, method === 'none', 'PKCE');
    const code = auth.callback_parameter_names['code'] ?? 'code';
    const extra = Object.values(auth.config_from_callback).map((name) => [name, `callback-${name}`] as const);
    return new Map([[code, 'code-1'], ['state', params.get('state') ?? ''], ...extra]);
  }

  /** Responds to steps, to the token endpoint and to revocation. `prompted` has the prompted credentials. */
  answer(call: Call, prompted: Readonly<Record<string, string>>): string {
    if (this.#isRevoking) return this.#revoke(call);
    if (this.#stepOf(call)) return this.#step(call);
    const { token_request: described } = this.#described.auth;
    return described ? this.#requestConfiguredToken(call, described, prompted) : this.#token(call);
  }

  /** From here on only a revocation is expected. */
  expectRevocation(): void {
    this.#isRevoking = true;
  }

  /** The token endpoint, or the endpoint of temporary credentials. */
  #token(call: Call): string {
    const { auth } = this.#described;
    if (auth.auth_mode === 'OAUTH1') return this.#token1(call);
    if (auth.refresh_request && this.#tokens > 0) return this.#refreshAsConfigured(call, auth.refresh_request);
    const params = this.#tokenParams(call);
    const named = (name: string) => params.get(auth.token_parameter_names[name] ?? name);
    const isLeftOut = (name: string) => auth.token_parameter_names[name] === '';
    const isIssued = auth.token_params['grant_type'] === 'client_credentials';
    const isRefresh = !isIssued && this.#tokens > 0;
    const url = isRefresh ? (auth.refresh_url ?? auth.token_url ?? '') : (auth.token_url ?? '');
    const expected = this.#fill(url);
    assert.equal(expected.includes('?') ? call.url : withoutQuery(call.url), expected, 'token endpoint');
    this.#authenticate(call, params, (isRefresh && auth.refresh_authorization_method) || auth.authorization_method);
    for (const [name, value] of Object.entries(auth.token_headers))
      assert.equal(call.headers[name.toLowerCase()], this.#fill(value), `header ${name}`);
    const own = isRefresh ? auth.refresh_params : auth.token_params;
    for (const [name, value] of Object.entries(own))
      assert.equal(params.get(name), this.#fill(value), `parameter ${name}`);
    if (isIssued) assert.equal(named('scope') ?? '', this.#client.scopes.join(auth.scope_separator), 'scope');
    else if (isRefresh) {
      if (!isLeftOut('grant_type'))
        assert.equal(own['grant_type'] ?? named('grant_type'), own['grant_type'] ?? 'refresh_token');
      assert.equal(named('refresh_token'), `rt-${this.#tokens}`, 'refresh_token');
      const redirectUri = auth.refresh_with_redirect_uri ? this.#redirectUri : undefined;
      assert.equal(named('redirect_uri'), redirectUri, 'redirect_uri of the refresh request');
    } else {
      if (!isLeftOut('grant_type')) assert.equal(named('grant_type'), own['grant_type'] ?? 'authorization_code');
      if (!isLeftOut('redirect_uri')) assert.equal(named('redirect_uri'), this.#redirectUri, 'redirect_uri');
      assert.equal(named('code'), 'code-1', 'code');
      const verifier = named('code_verifier');
      assert.equal(verifier === undefined, this.#challenge === undefined, 'PKCE verifier');
      if (verifier !== undefined && auth.code_challenge_method === 'S256')
        assert.equal(createHash('sha256').update(verifier).digest('base64url'), this.#challenge, 'PKCE verifier');
    }
    this.#tokens += 1;
    this.#isExchanged = false;
    return JSON.stringify(this.#answer());
  }

  /** The revocation, by RFC 7009 or as the Blueprint describes. */
  #revoke(call: Call): string {
    const { revocation_url: url, revocation_request: described } = this.#described.auth;
    const token = `rt-${this.#tokens}`;
    if (described) {
      this.#assertConfigured(call, described, { access_token: this.accessToken, refresh_token: token });
      return '';
    }
    assert.equal(`${call.method} ${call.url}`, `POST ${this.#fill(url ?? '')}`, 'revocation endpoint');
    const params = new Map(new URLSearchParams(String(call.body)));
    assert.deepEqual([params.get('token'), params.get('token_type_hint')], [token, 'refresh_token'], 'what is revoked');
    this.#authenticate(call, params, this.#described.auth.authorization_method, {});
    return '';
  }

  /** Responds to a step if it has the token and the described parts. */
  #step(call: Call): string {
    const step = this.#stepOf(call) ?? assert.fail();
    if (this.#described.auth.auth_mode === 'OAUTH1') this.#assertSigned(call, { token: 'token-2', secret: 'secret-2' });
    const fill = (value: string) => this.#fill(value, { access_token: this.accessToken });
    for (const [name, value] of Object.entries(step.request.headers))
      assert.equal(call.headers[name.toLowerCase()], fill(value), `header ${name} of a step`);
    const { searchParams } = new URL(call.url);
    for (const [name, value] of Object.entries(step.request.params))
      assert.equal(searchParams.get(name), fill(value), `parameter ${name} of a step`);
    if (step.token) {
      this.#isExchanged = true;
      return JSON.stringify({ access_token: this.accessToken, expires_in: 5_184_000 });
    }
    const answer = {};
    for (const [name, path] of Object.entries(step.store)) put(answer, path, this.#client.config[name]);
    return JSON.stringify(answer);
  }

  /** The API. */
  async request(call: Call, credentials: Readonly<Record<string, string>>): Promise<void> {
    const { requests } = this.#described;
    const fill = (value: string) => this.#fill(value, credentials);
    const base = new URL(fill(requests.base_url)).href;
    assert.ok(call.url.startsWith(base.endsWith('/') ? base : `${base}/`), `${call.url} is not below ${base}`);
    for (const [name, value] of Object.entries(requests.headers))
      assert.equal(call.headers[name.toLowerCase()], fill(value), `header ${name}`);
    const { searchParams } = new URL(call.url);
    for (const [name, value] of Object.entries(requests.params))
      assert.equal(searchParams.get(name), fill(value), `parameter ${name}`);
    if (this.#described.auth.auth_mode === 'OAUTH1' && !requests.headers['Authorization'])
      this.#assertSigned(call, { token: 'token-2', secret: 'secret-2' });
    if (this.#described.auth.jwt) await this.#assertToken(call, this.#described.auth.jwt, credentials);
    if (this.#described.auth.auth_mode === 'AWS_SIGV4') this.#assertAwsSignature(call, credentials);
  }

  async #assertToken(
    { headers }: Call,
    jwt: NonNullable<Described['auth']['jwt']>,
    credentials: Readonly<Record<string, string>>,
  ): Promise<void> {
    const [scheme, token = ''] = headers['authorization']?.split(' ') ?? [];
    assert.equal(scheme, this.#described.auth.authorization_scheme, 'scheme');
    const text = this.#fill(jwt.key, credentials);
    const key = jwt.algorithm.startsWith('HS')
      ? Buffer.from(text, jwt.key_encoding === 'text' ? 'utf8' : (jwt.key_encoding as BufferEncoding))
      : createPublicKey(text);
    const { payload, protectedHeader } = await jwtVerify(token, key, { algorithms: [jwt.algorithm] });
    if (jwt.key_id) assert.equal(protectedHeader.kid, this.#fill(jwt.key_id, credentials), 'kid');
    for (const [name, value] of Object.entries(jwt.claims))
      assert.equal(payload[name], this.#fill(value, credentials), `claim ${name}`);
    assert.ok((payload.exp ?? 0) > (payload.iat ?? 0), 'exp');
  }

  /** Signs the same request with another implementation. */
  #assertAwsSignature({ method, url, headers }: Call, credentials: Readonly<Record<string, string>>): void {
    const { service = '', region = '' } = this.#described.auth;
    const { host, pathname, search } = new URL(url);
    const { authorization = '', ...others } = headers;
    const options = {
      host,
      method,
      path: pathname + search,
      service: this.#fill(service),
      region: this.#fill(region),
      headers: others,
      extraHeadersToIgnore: { 'content-length': true },
    };
    const signed = aws4.sign(options, {
      accessKeyId: credentials['access_key_id'] ?? '',
      secretAccessKey: credentials['secret_access_key'] ?? '',
    });
    assert.equal(authorization, (signed.headers as Record<string, string>)['Authorization'], 'signature');
  }

  get accessToken(): string {
    return `at-${this.#tokens}${this.#isExchanged ? '-exchanged' : ''}`;
  }

  #stepOf(call: Call) {
    return this.#described.auth.steps.find(
      ({ request }) => request.method === call.method && this.#fill(request.url) === withoutQuery(call.url),
    );
  }

  #tokenParams(call: Call): Map<string, string> {
    const { auth } = this.#described;
    assert.equal(call.method, auth.token_http_method, 'method of the token request');
    if (auth.token_http_method === 'GET') return new Map(new URL(call.url).searchParams);
    const type = call.headers['content-type'] ?? '';
    assert.match(
      type,
      auth.body_format === 'json' ? /^application\/json/ : /^application\/x-www-form-urlencoded/,
      'body format',
    );
    const body = String(call.body ?? '');
    return auth.body_format === 'json'
      ? new Map(Object.entries(texts.parse(JSON.parse(body))))
      : new Map(new URLSearchParams(body));
  }

  /** A refresh request in the provider’s own format. */
  #refreshAsConfigured(call: Call, described: NonNullable<Described['auth']['refresh_request']>): string {
    return this.#requestConfiguredToken(call, described, {
      access_token: this.accessToken,
      refresh_token: `rt-${this.#tokens}`,
    });
  }

  #requestConfiguredToken(
    call: Call,
    described: z.output<typeof request>,
    values: Readonly<Record<string, string>>,
  ): string {
    this.#assertConfigured(call, described, values);
    this.#tokens += 1;
    this.#isExchanged = false;
    return JSON.stringify(this.#answer());
  }

  #assertConfigured(call: Call, described: z.output<typeof request>, given: Readonly<Record<string, string>>): void {
    const client = Buffer.from(`${this.#client.id}:${this.#client.secret}`).toString('base64');
    const values = { oauth_client_basic_encoded: client, ...given };
    assert.equal(call.method, described.method, 'method of a described request');
    const fill = (value: string) => this.#fill(value, values);
    assert.equal(decodeURIComponent(withoutQuery(call.url)), fill(described.url), 'endpoint of a described request');
    const { searchParams } = new URL(call.url);
    for (const [name, value] of Object.entries(described.params))
      assert.equal(searchParams.get(name), fill(value), `parameter ${name} of a described request`);
    for (const [name, value] of Object.entries(described.headers))
      assert.equal(call.headers[name.toLowerCase()], fill(value), `header ${name} of a described request`);
    const sent = String(call.body ?? '{}');
    const body: Map<string, string> = sent.startsWith('{')
      ? new Map(Object.entries(texts.parse(JSON.parse(sent))))
      : new Map(new URLSearchParams(sent));
    for (const [name, value] of Object.entries(described.body))
      assert.equal(body.get(name), fill(value), `member ${name} of a described request`);
  }

  get #redirectUri(): string {
    const { redirect_uri } = this.#described.auth;
    return redirect_uri === undefined ? this.#client.redirectUri : this.#fill(redirect_uri);
  }

  #authenticate(
    call: Call,
    params: ReadonlyMap<string, string>,
    authorizationMethod: string,
    names: Readonly<Record<string, string>> = this.#described.auth.token_parameter_names,
  ): void {
    const { auth } = this.#described;
    const { id, secret } = this.#client;
    const inBody = {
      id: params.get(names['client_id'] ?? 'client_id'),
      secret: params.get(names['client_secret'] ?? 'client_secret'),
    };
    const basic = /^Basic (.+)$/.exec(call.headers['authorization'] ?? '')?.[1];
    const encode = (value: string) => (auth.basic_encoding === 'form' ? encodeURIComponent(value) : value);
    if (authorizationMethod === 'header') {
      assert.equal(
        Buffer.from(basic ?? '', 'base64').toString(),
        `${encode(id)}:${encode(secret)}`,
        'client authentication',
      );
      assert.equal(inBody.secret, undefined, 'client authentication in the body, too');
      return;
    }
    assert.equal(basic, undefined, 'client authentication in the header');
    if (names['client_id'] !== '') assert.equal(inBody.id, id, 'client_id');
    assert.equal(inBody.secret, authorizationMethod === 'none' ? undefined : secret, 'client authentication');
  }

  #answer(): object {
    const { auth } = this.#described;
    const paths = auth.token_response_paths;
    const answer: Record<string, unknown> = { ...this.#raw(), token_type: auth.token_types[0] };
    put(answer, paths['access_token'] ?? 'access_token', `at-${this.#tokens}`);
    put(answer, paths['refresh_token'] ?? 'refresh_token', `rt-${this.#tokens}`);
    if (paths['expires_at']) put(answer, paths['expires_at'], new Date(Date.now() + 3_600_000).toISOString());
    else if (auth.token_lifetime_seconds === undefined)
      put(answer, paths['expires_in'] ?? 'expires_in', auth.expires_in_unit === 'milliseconds' ? 3_600_000 : 3_600);
    for (const [name, path] of Object.entries(auth.config_from_token_response))
      put(answer, path, this.#client.config[name]);
    return answer;
  }

  /** The parts of the response that requests read. */
  #raw(): Record<string, string> {
    const { requests } = this.#described;
    const read = [...JSON.stringify(requests).matchAll(/(^|.)\$\{raw\.(\w+)\}/g)];
    return Object.fromEntries(
      read.map(([, before, name = '']) => [
        name,
        RAW[name] ?? (before === '"' ? 'https://raw.example' : 'raw.example'),
      ]),
    );
  }

  #fill(template: string, credentials: Readonly<Record<string, string>> = {}): string {
    const raw = this.#raw();
    return template.replaceAll(/\$\{([\w.]+)\}/g, (_, name: string) => {
      const [first = '', rest = ''] = name.split(/\.(.*)/s);
      const value =
        first === 'config'
          ? this.#client.config[rest]
          : first === 'raw'
            ? (credentials[rest] ?? raw[rest])
            : {
                oauth_client_id: this.#client.id,
                oauth_client_secret: this.#client.secret,
                app_api_key: this.#client.appApiKey,
                ...credentials,
              }[name];
      return value ?? assert.fail(`nothing says what \${${name}} is`);
    });
  }

  #authorize1(params: ReadonlyMap<string, string>): Map<string, string> {
    assert.equal(params.get('oauth_token'), 'token-1', 'temporary credentials');
    for (const [name, value] of Object.entries(this.#described.auth.authorization_params))
      assert.equal(params.get(name), this.#fill(value), `authorization parameter ${name}`);
    return new Map([
      ['oauth_token', 'token-1'],
      ['oauth_verifier', 'verifier'],
    ]);
  }

  #token1(call: Call): string {
    const { auth } = this.#described;
    const isFirst = (this.#tokens += 1) === 1;
    const url = isFirst ? auth.request_url : auth.token_url;
    assert.equal(withoutQuery(call.url), this.#fill(url ?? ''), isFirst ? 'request endpoint' : 'token endpoint');
    assert.equal(call.method, isFirst ? auth.request_http_method : auth.token_http_method, 'method');
    const signed = this.#assertSigned(call, isFirst ? undefined : { token: 'token-1', secret: 'secret-1' });
    if (isFirst) assert.equal(signed['oauth_callback']?.split('?')[0], this.#client.redirectUri, 'oauth_callback');
    else assert.equal(signed['oauth_verifier'], 'verifier', 'oauth_verifier');
    const number = isFirst ? 1 : 2;
    const answer = new URLSearchParams({ oauth_token: `token-${number}`, oauth_token_secret: `secret-${number}` });
    if (isFirst) answer.set('oauth_callback_confirmed', 'true');
    else
      for (const [name, member] of Object.entries(auth.config_from_token_response))
        answer.set(member, this.#client.config[name] ?? assert.fail(name));
    return answer.toString();
  }

  /** Checks the signature with another implementation. Resolves to the protocol parameters. */
  #assertSigned(call: Call, token: { token: string; secret: string } | undefined): Record<string, string> {
    const header = call.headers['authorization'] ?? assert.fail('the request is not signed');
    const fields = [...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name,
      decodeURIComponent(value),
    ]);
    const { oauth_signature: signature, realm: _, ...params } = Object.fromEntries(fields) as Record<string, string>;
    assert.equal(params['oauth_consumer_key'], this.#client.id, 'consumer key');
    assert.equal(params['oauth_token'], token?.token, 'token');
    const method = this.#described.auth.signature_method;
    assert.equal(params['oauth_signature_method'], method, 'signature method');
    const { searchParams } = new URL(call.url);
    const all = Object.entries({ ...params, ...Object.fromEntries(searchParams) }).map(([name, value]) => [
      name,
      [value],
    ]);
    const signed = Object.fromEntries(all) as Record<string, string[]>;
    const expected = oauthSign.sign(
      method ?? '',
      call.method,
      withoutQuery(call.url),
      signed,
      this.#client.secret,
      token?.secret ?? '',
    );
    assert.equal(signature, expected, 'signature');
    return params;
  }
}

function withoutQuery(url: string): string {
  return url.split('?')[0] ?? url;
}

/** Sets the value at a dotted path. */
function put(target: object, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let place = target as Record<string, unknown>;
  for (const name of names) place = (place[name] ??= {}) as Record<string, unknown>;
  place[last] = value;
}

import type {
  AdditionalConfig,
  AuthMode,
  AuthModeContext,
  BaseCredentials,
  Integration,
  JsonValue,
} from '../auth-modes/auth-mode.ts';
import { placeholderValue } from '../auth-modes/auth-values.ts';
import { NangoError } from '../errors/nango-error.ts';
import { assertSecureUrl } from '../schema/loopback-host.ts';
import { renderMaybeSecret, renderUrlTemplate } from '../schema/render.ts';
import type { Template } from '../schema/template.ts';
import type { HttpMethod } from '../upstream/http-client.ts';
import { resolveReference, targetUrl, withQuery, type RequestTarget } from '../formats/request-target.ts';
import { authorizedHeaders, checkedHeader, type RenderedField } from './authorized-headers.ts';
import { baseUrlOf, invalidEndpoint, joinEndpoint, type BaseUrl } from './join-endpoint.ts';
import type { Redirect } from './redirects.ts';
import { revealText, Secret, type MaybeSecret } from '../vault/secret.ts';

/** A request of the application. `endpoint` is relative to the Integration's base_url and may have a query. */
export interface ApiRequest<Method extends string = HttpMethod> {
  readonly method: Method;
  readonly endpoint: string;
  readonly params?: Readonly<Record<string, ParamValue>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Text and bytes are sent as they are, everything else as JSON. */
  readonly body?: JsonValue | Uint8Array | undefined;
}

/** A list repeats the parameter; null omits it. */
export type ParamValue = string | number | boolean | null | readonly (string | number | boolean)[];

/** What the next request of a call is made of. */
export interface NextRequest extends ApiRequest<string> {
  /** The request that follows a redirect; undefined = the caller's own request. */
  readonly redirect?: Redirect | undefined;
}

/** The parts of a request that are needed to decide what follows its response. */
export interface SentRequest {
  readonly method: string;
  readonly target: RequestTarget;
  /** Origin of the API. Credentials go only there. */
  readonly apiOrigin: string;
}

/** A request ready to be sent. Header names are in lower case. */
export interface AuthorizedRequest extends SentRequest {
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
}

/** The connection whose credentials authorize the request. */
export interface RequestAuthorization {
  readonly integration: Integration;
  readonly mode: AuthMode;
  readonly credentials: BaseCredentials;
  readonly config: AdditionalConfig;
}

/** The clock and the random source of signing modes. */
type SigningContext = Pick<AuthModeContext, 'now' | 'randomToken'>;

/**
 * Authorizes the next request of a call: the only place where credentials are put into a URL or a header.
 *
 * A configured value with a placeholder takes precedence, so a caller can neither replace nor remove a credential.
 * Constants are defaults that the caller may override. Values are inserted as data: none can split a header, end a
 * parameter, change the host or leave the base path. Throws `invalid_endpoint` and `invalid_value`.
 *
 * After a redirect to another origin, which the Integration lists, a request carries neither credentials nor the
 * caller's data, except for the fields that select a representation (RFC 9110 §15.4).
 */
export function authorizeRequest(
  call: NextRequest,
  authorization: RequestAuthorization,
  context: SigningContext,
): AuthorizedRequest {
  const prepared = preparedFor(authorization);
  const { base, ownAuthorization } = prepared;
  const { redirect } = call;
  const method = redirect?.method ?? call.method;
  const content = redirect?.keepsBody === false ? undefined : call.body;
  const body = encodeBody(content);
  const isOwnOrigin = !redirect || redirect.target.origin === base.origin;
  const target = isOwnOrigin ? targetWithin(call, prepared) : redirect.target;
  const headers = isOwnOrigin
    ? authorizedHeaders(prepared.headers, call.headers)
    : authorizedHeaders([], representationHeaders(call.headers));
  if (isJson(content)) headers['content-type'] ??= 'application/json';
  const { mode } = authorization;
  if (isOwnOrigin && mode.sign && !ownAuthorization)
    Object.assign(headers, mode.sign({ method, url: targetUrl(target), headers, body }, { ...authorization, context }));
  return { method, target, apiOrigin: base.origin, headers, body };
}

/** Returns the target of a request to the API's own origin, with all parameters. */
function targetWithin({ endpoint, params: callerParams, redirect }: NextRequest, prepared: Prepared): RequestTarget {
  const { base, params } = prepared;
  if (!redirect) {
    const { target, endpointQuery } = joinEndpoint(base, endpoint);
    return withQuery(target, encodeParams(params, endpointQuery, callerParams));
  }
  // An API that repeats the query also repeats credentials, which may be old by now.
  const credentials = params.filter(({ isCredential }) => isCredential).map(({ name }) => name);
  const kept = { ...redirect.target, query: withoutParams(redirect.target.query, credentials) };
  return withQuery(kept, encodeParams(params, kept.query));
}

/**
 * Turns a URL from a response into an endpoint of its API. Credentials that it repeats are removed. Relative URLs
 * are resolved against `from`, the target of its request (RFC 8288 §3.2). Throws `invalid_endpoint` if it is not below
 * the base_url.
 */
export function endpointOf(text: string, from: RequestTarget, authorization: RequestAuthorization): string {
  const { base, params } = preparedFor(authorization);
  const url = resolveReference(text, from);
  if (url?.origin !== base.origin || !url.pathname.startsWith(base.root))
    throw invalidEndpoint('the API named a URL that is not below the base_url');
  for (const { name } of params) url.searchParams.delete(name);
  return url.pathname.slice(base.root.length) + url.search;
}

// Fields that select a representation. They may go to another origin.
const REPRESENTATION_FIELDS = /^(accept(-encoding|-language)?|content-type|if-[a-z-]+|range|user-agent)$/i;

function representationHeaders(headers: ApiRequest['headers'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => REPRESENTATION_FIELDS.test(name)));
}

function withoutParams(query: string, names: readonly string[]): string {
  if (names.length === 0) return query;
  const params = new URLSearchParams(query);
  for (const name of names) params.delete(name);
  return params.toString();
}

/** What all requests of a connection have in common, rendered once. Credentials are never changed in place. */
interface Prepared {
  readonly integration: Integration;
  readonly config: AdditionalConfig;
  readonly base: BaseUrl;
  readonly headers: readonly RenderedField[];
  readonly params: readonly RenderedField[];
  /** Whether the Integration configures an `Authorization` header. */
  readonly ownAuthorization: boolean;
}

const preparedByCredentials = new WeakMap<BaseCredentials, Prepared>();

function preparedFor(authorization: RequestAuthorization): Prepared {
  const { credentials, integration, config } = authorization;
  const cached = preparedByCredentials.get(credentials);
  if (cached && cached.integration === integration && cached.config === config) return cached;
  const prepared = prepare(authorization);
  preparedByCredentials.set(credentials, prepared);
  return prepared;
}

function prepare(authorization: RequestAuthorization): Prepared {
  const { integration, config } = authorization;
  const { baseUrl, headers, params } = integration.requests;
  const valueOf = (placeholder: string) => requestValue(placeholder, authorization);
  const render = (fields: ReadonlyMap<string, Template>, check: (name: string, value: string) => string) =>
    [...fields].map(([name, template]) => ({
      name,
      value: checkValue(name, renderMaybeSecret(template, valueOf), check),
      isCredential: template.placeholders.length > 0,
    }));
  const lower = new Map([...headers].map(([name, template]) => [name.toLowerCase(), template]));
  const rendered = renderUrlTemplate(baseUrl, (placeholder) => revealText(valueOf(placeholder)));
  return {
    integration,
    config,
    base: parseBaseUrl(rendered, integration),
    headers: render(lower, checkedHeader),
    params: render(params, (_name, value) => value),
    ownAuthorization: lower.has('authorization'),
  };
}

/** Returns a value after a check, which may throw. A secret stays a secret. */
function checkValue(name: string, value: MaybeSecret, check: (name: string, value: string) => string): MaybeSecret {
  return value instanceof Secret ? value.map((text) => check(name, text)) : check(name, value);
}

/** Returns the value of one placeholder of `requests`. */
function requestValue(
  placeholder: string,
  { integration, mode, credentials, config }: RequestAuthorization,
): MaybeSecret {
  const named = (name: string) => {
    if (name === 'app_api_key') return integration.appApiKey ?? '';
    return Object.hasOwn(mode.placeholders, name) ? mode.placeholders[name]?.(credentials, integration) : undefined;
  };
  const value = placeholderValue(placeholder, { config, raw: credentials.raw, named });
  if (value !== undefined) return value;
  throw new NangoError('invalid_value', `\${${placeholder}} is unknown with auth_mode ${mode.name}.`);
}

/** A base_url may come from a token response (`${raw.instance_url}`), so its scheme is checked again. */
function parseBaseUrl(rendered: string, { allowHttp, name }: Integration): BaseUrl {
  const url = new URL(rendered);
  assertSecureUrl(url, { allowHttp, source: `The base_url of "${name}"`, code: 'invalid_value' });
  return baseUrlOf(url);
}

function encodeParams(
  configured: readonly RenderedField[],
  endpointQuery: string,
  params?: ApiRequest['params'],
): string {
  if (configured.length === 0 && params === undefined) return '';
  const callerParams = params ?? {};
  const endpointParams = new URLSearchParams(endpointQuery);
  const pairs: [string, string][] = [];
  for (const { name, value, isCredential } of configured) {
    if (isCredential && endpointParams.has(name))
      throw new NangoError(
        'invalid_request',
        `The Integration sets the parameter "${name}". Remove it from the endpoint.`,
      );
    if (isCredential || !(endpointParams.has(name) || Object.hasOwn(callerParams, name)))
      pairs.push([name, revealText(value)]);
  }
  const credentials = new Set(configured.filter(({ isCredential }) => isCredential).map(({ name }) => name));
  for (const [name, value] of Object.entries(callerParams)) {
    if (credentials.has(name)) continue;
    for (const item of Array.isArray(value) ? value : [value]) if (item !== null) pairs.push([name, String(item)]);
  }
  return pairs.map(([name, value]) => `${encodeComponent(name)}=${encodeComponent(value)}`).join('&');
}

/** Percent-encodes a name or value as the query of a URL has it (WHATWG URL, special-query percent-encode set). */
function encodeComponent(text: string): string {
  if (!text.isWellFormed()) throw new NangoError('invalid_value', 'A query parameter is not valid Unicode.');
  return encodeURIComponent(text).replaceAll("'", '%27');
}

/** Sends text and bytes as they are, everything else as JSON. */
function encodeBody(body: ApiRequest['body']): string | Uint8Array | undefined {
  return isJson(body) ? JSON.stringify(body) : body;
}

function isJson(body: ApiRequest['body']): body is Exclude<JsonValue, string> {
  return body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
}

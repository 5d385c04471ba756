import type {
  AdditionalConfig,
  AuthMode,
  AuthModeContext,
  BaseCredentials,
  Integration,
  JsonValue,
} from '../auth-modes/auth-mode.ts';
import { NangoError } from '../errors/nango-error.ts';
import { isSecureUrl } from '../schema/loopback-host.ts';
import { hasDotSegment, headerValue, renderUrlTemplate, valueAt } from '../schema/render.ts';
import type { Template } from '../schema/template.ts';
import type { HttpMethod } from '../upstream/http-client.ts';

/** What the application asks for; `endpoint` is relative to the Integration's base_url and may have a query. */
export interface ApiRequest<Method extends string = HttpMethod> {
  readonly method: Method;
  readonly endpoint: string;
  readonly params?: Readonly<Record<string, ParamValue>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Text and bytes go as they are, everything else as JSON. */
  readonly body?: JsonValue | Uint8Array | undefined;
}

/** A list repeats the parameter; null leaves it out. */
export type ParamValue = string | number | boolean | null | readonly (string | number | boolean)[];

/** A request as an answer to it is judged. */
export interface AnsweredRequest {
  readonly url: string;
  /** Origin of the API; credentials go there alone. */
  readonly apiOrigin: string;
}

/** A request ready to be sent. Header names are in lower case. */
export interface AuthorizedRequest<Method extends string = HttpMethod> extends AnsweredRequest {
  readonly method: Method;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
}

/** Whose credentials authorize the request. */
export interface RequestAuthorization {
  readonly integration: Integration;
  readonly mode: AuthMode;
  readonly credentials: BaseCredentials;
  readonly config: AdditionalConfig;
  /** For modes that sign each request. */
  readonly context: Pick<AuthModeContext, 'now' | 'randomToken'>;
}

/**
 * Authorizes a request: the one place where credentials meet a URL or a header.
 *
 * The configured value wins wherever it carries a placeholder, so a caller can neither replace nor remove a credential;
 * constants are defaults that the caller may override. Values are inserted as data: none can split a header, end a
 * parameter, change the host or leave the base path. Throws `invalid_endpoint` and `invalid_value`.
 */
export function authorizeRequest<Method extends string>(
  request: ApiRequest<Method>,
  authorization: RequestAuthorization,
): AuthorizedRequest<Method> {
  const prepared = preparedFor(authorization);
  const { headers, params, base } = prepared;
  const target = joinEndpoint(base, request.endpoint);
  const query = [target.query, encodeParams(params, request)].filter((part) => part !== '').join('&');
  const url = query === '' ? target.url : `${target.url}?${query}`;
  return sign({ method: request.method, url, ...authorizeHeaders(headers, request) }, prepared, authorization);
}

/**
 * Authorizes the request that follows a redirect. On the API's own origin it carries what every request does; on another,
 * which the Integration lists, neither credentials nor anything of the caller's but what says which representation is
 * wanted (RFC 9110 §15.4).
 */
export function authorizeRedirect<Method extends string>(
  { target, ...request }: Omit<ApiRequest<Method>, 'endpoint' | 'params'> & { readonly target: URL },
  authorization: RequestAuthorization,
): AuthorizedRequest<Method> {
  const prepared = preparedFor(authorization);
  const { headers, params, base } = prepared;
  const { method } = request;
  if (target.origin !== base.origin) {
    const { headers: kept, body } = authorizeHeaders([], { ...request, headers: harmlessHeaders(request.headers) });
    return { method, url: target.href, apiOrigin: base.origin, headers: kept, body };
  }
  const url = new URL(target);
  // An API that repeats the query it was asked with repeats credentials, which may be old ones by now.
  for (const { name, isCredential } of params) if (isCredential) url.searchParams.delete(name);
  const query = [url.search.slice(1), encodeParams(params, { endpoint: `${url.pathname}${url.search}` })];
  url.search = query.filter((part) => part !== '').join('&');
  return sign({ method, url: url.href, ...authorizeHeaders(headers, request) }, prepared, authorization);
}

/**
 * A URL that an API named, as an endpoint of it, without the credentials that it may repeat. Throws `invalid_endpoint` when it
 * is no URL below the base_url.
 */
export function endpointOf(text: string, authorization: RequestAuthorization): string {
  const { base, params } = preparedFor(authorization);
  const url = URL.parse(text, base.origin + base.root);
  if (url?.origin !== base.origin || !url.pathname.startsWith(base.root))
    throw invalidEndpoint('the API named one that is not below the base_url');
  for (const { name } of params) url.searchParams.delete(name);
  return url.pathname.slice(base.root.length) + url.search;
}

const HARMLESS = /^(accept(-encoding|-language)?|content-type|if-[a-z-]+|range|user-agent)$/i;

function harmlessHeaders(headers: ApiRequest['headers'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => HARMLESS.test(name)));
}

function sign<Method extends string>(
  unsigned: Omit<AuthorizedRequest<Method>, 'apiOrigin'>,
  { ownAuthorization, base }: Prepared,
  authorization: RequestAuthorization,
): AuthorizedRequest<Method> {
  const signature = ownAuthorization ? undefined : authorization.mode.sign?.(unsigned, authorization);
  const { method, url, headers, body } = unsigned;
  return {
    method,
    url,
    apiOrigin: base.origin,
    headers: signature ? { ...headers, ...signature } : headers,
    body,
  };
}

/** What all requests of a connection have in common, rendered once: credentials never change in place. */
interface Prepared {
  readonly integration: Integration;
  readonly config: AdditionalConfig;
  readonly base: BaseUrl;
  readonly headers: readonly RenderedField[];
  readonly params: readonly RenderedField[];
  /** Whether the Integration configures an `Authorization` header. */
  readonly ownAuthorization: boolean;
}

/** A configured header or parameter; one with a placeholder is a credential, and wins. */
interface RenderedField {
  readonly name: string;
  readonly value: string;
  readonly isCredential: boolean;
}

interface BaseUrl {
  readonly origin: string;
  /** The path, as it is. */
  readonly path: string;
  /** The path with a slash at its end. */
  readonly root: string;
  readonly query: string;
}

const preparedByCredentials = new WeakMap<BaseCredentials, Prepared>();

function preparedFor(authorization: RequestAuthorization): Prepared {
  const { credentials, integration, config } = authorization;
  const known = preparedByCredentials.get(credentials);
  if (known && known.integration === integration && known.config === config) return known;
  const prepared = prepare(authorization);
  preparedByCredentials.set(credentials, prepared);
  return prepared;
}

function prepare(authorization: RequestAuthorization): Prepared {
  const { integration, config } = authorization;
  const { baseUrl, headers, params } = integration.requests;
  const valueOf = (placeholder: string) => placeholderValue(placeholder, authorization);
  const render = (fields: ReadonlyMap<string, Template>) =>
    [...fields].map(([name, template]) => ({
      name,
      value: template.render(valueOf),
      isCredential: template.placeholders.length > 0,
    }));
  const { origin, pathname, search } = parseBase(renderUrlTemplate(baseUrl, valueOf), integration);
  return {
    integration,
    config,
    base: {
      origin,
      path: pathname,
      root: pathname.endsWith('/') ? pathname : `${pathname}/`,
      query: search.slice(1),
    },
    headers: render(headers),
    params: render(params),
    ownAuthorization: [...headers.keys()].some((name) => name.toLowerCase() === 'authorization'),
  };
}

function placeholderValue(
  placeholder: string,
  { integration, mode, credentials, config }: RequestAuthorization,
): string {
  if (placeholder === 'app_api_key') return integration.appApiKey?.reveal() ?? '';
  if (placeholder.startsWith('raw.')) return valueAt(credentials.raw, placeholder);
  if (placeholder.startsWith('config.')) return valueAt(config, placeholder);
  const value = Object.hasOwn(mode.placeholders, placeholder)
    ? mode.placeholders[placeholder]?.(credentials, integration)
    : undefined;
  if (value === undefined)
    throw new NangoError('invalid_value', `\${${placeholder}} is not known with auth_mode ${mode.name}.`);
  return value;
}

/** A base_url may come from a token answer (`${raw.instance_url}`), so its scheme is checked once more here. */
function parseBase(rendered: string, { allowHttp, name }: Integration): URL {
  const base = new URL(rendered);
  if (!isSecureUrl(base, allowHttp)) {
    throw new NangoError(
      'invalid_value',
      `The base_url of "${name}" is http for this connection; only https is used outside loopback.`,
    );
  }
  return base;
}

// What a URL parser leaves as it is, and what is neither a scheme nor a dot segment.
const PLAIN_PATH = /^[\w~!$&()*+,=@./-]*$/;
const PLAIN_QUERY = /^[\w~!$&()*+,=:@./?%-]*$/;

/** Appends the endpoint to the base path; nothing in it can choose another host or climb out (RFC 3986 §5.2.4). */
function joinEndpoint(base: BaseUrl, endpoint: string): { url: string; query: string } {
  const mark = endpoint.indexOf('?');
  const path = mark === -1 ? endpoint : endpoint.slice(0, mark);
  const own = mark === -1 ? '' : endpoint.slice(mark + 1);
  const isPlain = PLAIN_PATH.test(path) && PLAIN_QUERY.test(own) && !/\.\.|\.\/|\/\.|^\.|^\/\/|\.$/.test(path);
  const relative = path.startsWith('/') ? path.slice(1) : path;
  if (isPlain) {
    const query = base.query === '' || own === '' ? base.query + own : `${base.query}&${own}`;
    return { url: base.origin + (relative === '' ? base.path : base.root + relative), query };
  }
  assertEndpoint(endpoint);
  const url = new URL(base.origin);
  url.pathname = relative === '' ? base.path : base.root + relative;
  url.search = [base.query, own].filter((part) => part !== '').join('&');
  if (url.origin !== base.origin || !`${url.pathname}/`.startsWith(base.root))
    throw invalidEndpoint('it would leave the base_url');
  return { url: url.origin + url.pathname, query: url.search.slice(1) };
}

function assertEndpoint(endpoint: string): void {
  if (/[\p{Cc}\s\\#]/u.test(endpoint) || !endpoint.isWellFormed())
    throw invalidEndpoint('it holds white space, a control character, "\\" or "#"; percent-encode them');
  if (/^([a-z][a-z0-9+.-]*:)?\/\//i.test(endpoint))
    throw invalidEndpoint('it must be relative to the base_url, such as "users/me"');
  const path = endpoint.replace(/\?.*$/s, '');
  // Some servers decode twice, so "%252e" is looked through too.
  if ([path, decodeSeparators(path), decodeSeparators(decodeSeparators(path))].some(hasDotSegment))
    throw invalidEndpoint('it has a "." or ".." segment');
}

function decodeSeparators(path: string): string {
  return path
    .replace(/%25/gi, '%')
    .replace(/%2e/gi, '.')
    .replace(/%2f/gi, '/')
    .replace(/%5c/gi, '\\')
    .replace(/;[^/]*/g, '');
}

function encodeParams(
  configured: readonly RenderedField[],
  { params, endpoint }: Pick<ApiRequest<string>, 'params' | 'endpoint'>,
): string {
  if (configured.length === 0 && params === undefined) return '';
  const given = params ?? {};
  const own = new URLSearchParams(/\?(.*)$/s.exec(endpoint)?.[1] ?? '');
  const pairs: [string, string][] = [];
  for (const { name, value, isCredential } of configured) {
    if (isCredential && own.has(name))
      throw new NangoError(
        'invalid_request',
        `The parameter "${name}" is set by the Integration and cannot stand in the endpoint.`,
      );
    if (isCredential || !(own.has(name) || Object.hasOwn(given, name))) pairs.push([name, value]);
  }
  const credentials = new Set(configured.filter(({ isCredential }) => isCredential).map(({ name }) => name));
  for (const [name, value] of Object.entries(given)) {
    if (credentials.has(name)) continue;
    for (const item of Array.isArray(value) ? value : [value]) if (item !== null) pairs.push([name, String(item)]);
  }
  return pairs.map(([name, value]) => `${encodeComponent(name)}=${encodeComponent(value)}`).join('&');
}

function encodeComponent(text: string): string {
  if (!text.isWellFormed()) throw new NangoError('invalid_value', 'A query parameter is not valid Unicode.');
  return encodeURIComponent(text);
}

function authorizeHeaders(configured: readonly RenderedField[], request: Pick<ApiRequest<string>, 'headers' | 'body'>) {
  const headers: Record<string, string> = {};
  const body = encodeBody(request.body);
  if (body?.type) headers['content-type'] = body.type;
  for (const { name, value, isCredential } of configured) if (!isCredential) setHeader(headers, name, value);
  const given = request.headers ?? {};
  for (const name of Object.keys(given)) setHeader(headers, name, given[name] ?? '');
  for (const { name, value, isCredential } of configured) if (isCredential) setHeader(headers, name, value);
  return { headers, body: body?.text };
}

function encodeBody(
  body: JsonValue | Uint8Array | undefined,
): { text: string | Uint8Array; type?: string } | undefined {
  if (body === undefined) return undefined;
  return typeof body === 'string' || body instanceof Uint8Array
    ? { text: body }
    : { text: JSON.stringify(body), type: 'application/json' };
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// These frame the message or name the peer: left to the HTTP client, or a caller could smuggle a second request.
const FRAMING_HEADERS = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

function setHeader(headers: Record<string, string>, name: string, value: string): void {
  const lower = name.toLowerCase();
  if (!HEADER_NAME.test(lower))
    throw new NangoError('invalid_value', 'A header name holds characters that header names cannot have.');
  if (FRAMING_HEADERS.has(lower))
    throw new NangoError('invalid_value', `The header "${lower}" is set by the HTTP client and cannot be given.`);
  headers[lower] = headerValue(lower, value);
}

function invalidEndpoint(why: string): NangoError {
  return new NangoError('invalid_endpoint', `The endpoint is refused: ${why}.`);
}

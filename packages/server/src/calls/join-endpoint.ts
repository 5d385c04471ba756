import { NangoError } from '../errors/nango-error.ts';
import { hasDotSegment } from '../schema/render.ts';
import { joinQueries, targetOf, type RequestTarget } from '../formats/request-target.ts';

/** The base URL of an API, split once for all requests of a connection. */
export interface BaseUrl extends RequestTarget {
  /** The path, with a slash at its end. */
  readonly root: string;
}

/** Splits a base URL into its parts. */
export function baseUrlOf(url: URL): BaseUrl {
  const target = targetOf(url);
  return { ...target, root: target.path.endsWith('/') ? target.path : `${target.path}/` };
}

/** The target of an endpoint. `endpointQuery` is the part of its query that the endpoint had. */
export interface JoinedEndpoint {
  readonly target: RequestTarget;
  readonly endpointQuery: string;
}

// Text that a URL parser does not change. It has neither a scheme nor dot segments.
const PLAIN_PATH = /^[\w~!$&()*+,=@./-]*$/;
const PLAIN_QUERY = /^[\w~!$&()*+,=:@./?%-]*$/;

/**
 * Appends the endpoint to the base path. The endpoint cannot choose another host or leave the path (RFC 3986 §5.2.4).
 * Throws `invalid_endpoint`.
 */
export function joinEndpoint(base: BaseUrl, endpoint: string): JoinedEndpoint {
  const { path, query: endpointQuery } = splitEndpoint(endpoint);
  const isPlain =
    PLAIN_PATH.test(path) && PLAIN_QUERY.test(endpointQuery) && !/\.\.|\.\/|\/\.|^\.|^\/\/|\.$/.test(path);
  const relative = path.startsWith('/') ? path.slice(1) : path;
  const joined = {
    origin: base.origin,
    path: relative === '' ? base.path : base.root + relative,
    query: joinQueries(base.query, endpointQuery),
  };
  if (isPlain) return { target: joined, endpointQuery };
  assertEndpoint(endpoint, path);
  const url = new URL(base.origin);
  url.pathname = joined.path;
  url.search = joined.query;
  if (url.origin !== base.origin || !`${url.pathname}/`.startsWith(base.root))
    throw invalidEndpoint('it would leave the base_url');
  return { target: targetOf(url), endpointQuery };
}

/** Splits an endpoint into its path and its query. */
export function splitEndpoint(endpoint: string): { readonly path: string; readonly query: string } {
  const mark = endpoint.indexOf('?');
  return mark === -1
    ? { path: endpoint, query: '' }
    : { path: endpoint.slice(0, mark), query: endpoint.slice(mark + 1) };
}

function assertEndpoint(endpoint: string, path: string): void {
  if (/[\p{Cc}\s\\#]/u.test(endpoint) || !endpoint.isWellFormed())
    throw invalidEndpoint('it holds white space, a control character, "\\" or "#"; percent-encode them');
  if (/^([a-z][a-z0-9+.-]*:)?\/\//i.test(endpoint))
    throw invalidEndpoint('it must be relative to the base_url, such as "users/me"');
  // Some servers decode twice, so "%252e" is decoded here as well.
  if ([path, decodeSeparators(path), decodeSeparators(decodeSeparators(path))].some(hasDotSegment))
    throw invalidEndpoint('it has a "." or ".." segment');
}

function decodeSeparators(path: string): string {
  return path
    .replace(/%25/gi, '%')
    .replace(/%2e/gi, '.')
    .replace(/%2f/gi, '/')
    .replace(/%5c/gi, '\\')
    .replace(/%3b/gi, ';')
    .replace(/;[^/\\]*/g, '');
}

/** Returns the error for an endpoint that was rejected. */
export function invalidEndpoint(why: string): NangoError {
  return new NangoError('invalid_endpoint', `The endpoint was rejected: ${why}.`);
}

import { NangoError } from '../errors/nango-error.ts';

/**
 * Where a request is sent. It is created once, from a URL or from base URL and endpoint, and is not split again. All
 * parts are percent-encoded.
 */
export interface RequestTarget {
  /** Scheme, host and port (RFC 6454 §6.2). */
  readonly origin: string;
  /** Begins with a slash. */
  readonly path: string;
  /** Without the question mark; empty if there is none. */
  readonly query: string;
}

/**
 * Returns the parts of a URL that a request sends. User information and fragment are never sent. Throws
 * `request_failed` if the URL is neither http nor https.
 */
export function targetOf({ protocol, origin, pathname, search }: URL): RequestTarget {
  if (protocol !== 'https:' && protocol !== 'http:')
    throw new NangoError(
      'request_failed',
      `Requests can be sent only to http and https URLs, not to ${protocol} URLs.`,
    );
  return { origin, path: pathname, query: search.slice(1) };
}

/** Returns the target as a URL. The URL may contain credentials. */
export function targetUrl(target: RequestTarget): string {
  return target.origin + originForm(target);
}

/** Returns path and query for a request line (RFC 9112 §3.2.1). */
export function originForm({ path, query }: RequestTarget): string {
  return query === '' ? path : `${path}?${query}`;
}

/** Returns the target with further parameters after its own. */
export function withQuery(target: RequestTarget, added: string): RequestTarget {
  return added === '' ? target : { ...target, query: joinQueries(target.query, added) };
}

/** Joins two queries, of which either may be empty. */
export function joinQueries(first: string, second: string): string {
  return first === '' || second === '' ? first + second : `${first}&${second}`;
}

/** Resolves a URL or relative reference of a response (RFC 3986 §5). Returns null if it is neither. */
export function resolveReference(reference: string, from: RequestTarget): URL | null {
  return URL.parse(reference, targetUrl(from));
}

/** The parts of an origin, for connectors and error messages. */
export interface Authority {
  readonly protocol: string;
  /** Without brackets for an IPv6 address. */
  readonly hostname: string;
  readonly port: string;
  /** Host and port. */
  readonly host: string;
}

/** Returns the parts of an origin. */
export function authorityOf(origin: string): Authority {
  const { protocol, hostname, port, host } = new URL(origin);
  return { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, host };
}

import { NangoError } from '../errors/nango-error.ts';

/**
 * Where a request is sent. It is made once, from a URL or from base URL and endpoint, and is not split again. All parts
 * are percent-encoded.
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
 * The parts of a URL that a request names. User information and fragment are never sent. Throws `request_failed` if the
 * URL is neither http nor https.
 */
export function targetOf({ protocol, origin, pathname, search }: URL): RequestTarget {
  if (protocol !== 'https:' && protocol !== 'http:')
    throw new NangoError('request_failed', `Requests are sent to http and https URLs, not to ${protocol} URLs.`);
  return { origin, path: pathname, query: search.slice(1) };
}

/** The target as a URL. It may hold credentials. */
export function targetUrl(target: RequestTarget): string {
  return target.origin + originForm(target);
}

/** Path and query, as a request line has them (RFC 9112 §3.2.1). */
export function originForm({ path, query }: RequestTarget): string {
  return query === '' ? path : `${path}?${query}`;
}

/** The target with further parameters after its own. */
export function withQuery(target: RequestTarget, added: string): RequestTarget {
  return added === '' ? target : { ...target, query: joinQueries(target.query, added) };
}

/** One query of two, of which either may be empty. */
export function joinQueries(first: string, second: string): string {
  return first === '' || second === '' ? first + second : `${first}&${second}`;
}

/** Resolves a URL or relative reference of a response (RFC 3986 §5); null if it is neither. */
export function resolveReference(reference: string, from: RequestTarget): URL | null {
  return URL.parse(reference, targetUrl(from));
}

/** The parts of an origin, as connectors and error messages name them. */
export interface Authority {
  readonly protocol: string;
  /** An IPv6 address has no brackets. */
  readonly hostname: string;
  readonly port: string;
  /** Host and port. */
  readonly host: string;
}

/** The parts of an origin. */
export function authorityOf(origin: string): Authority {
  const { protocol, hostname, port, host } = new URL(origin);
  return { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, host };
}

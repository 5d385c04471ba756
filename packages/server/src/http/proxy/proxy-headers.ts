import type { IncomingMessage } from 'node:http';
import { FRAMING_FIELDS } from '../../formats/header-fields.ts';

// What a proxy answers for itself (RFC 9110 §11.7).
const PROXY_AUTHENTICATION = ['proxy-authenticate', 'proxy-authorization'];
const NOT_FORWARDED: ReadonlySet<string> = new Set([...FRAMING_FIELDS, ...PROXY_AUTHENTICATION]);

// What a browser would keep for our origin, or do on it, although an API said so; and all that begins so.
const FOR_OUR_ORIGIN = new Set([
  'alt-svc',
  'clear-site-data',
  'content-security-policy',
  'content-security-policy-report-only',
  'nel',
  'permissions-policy',
  'public-key-pins',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'set-cookie2',
  'strict-transport-security',
]);
const CORS = 'access-control-';

/** Prefix of our own fields, which no API sees and no API can send. */
const OURS = 'nango-';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/**
 * The caller's fields as an API may see them: without those of the connection, those that `Connection` names, our own, and
 * the `Authorization` that is meant for us. Repeated ones are joined (RFC 9110 §5.3).
 */
export function requestHeaders({ headers }: IncomingMessage): Record<string, string> {
  const named = namedByConnection(headers.connection);
  const passed: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name === 'authorization' || NOT_FORWARDED.has(name) || name.startsWith(OURS)) continue;
    if (named?.has(name)) continue;
    passed[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return passed;
}

// Should a browser ever show an answer: as nothing but itself.
const SHOWN_AS_NOTHING = [
  'content-security-policy',
  "default-src 'none'; sandbox",
  'x-content-type-options',
  'nosniff',
];

/**
 * An API's fields as the caller may see them: names and values in turn, as `writeHead` takes them. Cookies are renamed to
 * `nango-set-cookie`, so that a browser does not take them for ours, and what would have a browser do something on our
 * origin is left out. Responses with 1xx and 204 have no Content-Length (RFC 9110 §8.6).
 */
export function responseHeaders(headers: Headers, { withTrailer = false, withLength = true } = {}): string[] {
  const named = namedByConnection(headers['connection']);
  const passed: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || named?.has(name) || isWithheld(name)) continue;
    if ((name === 'trailer' && !withTrailer) || (name === 'content-length' && !withLength)) continue;
    const shown = name === 'set-cookie' ? 'nango-set-cookie' : name;
    if (typeof value === 'string') passed.push(shown, value);
    else for (const one of value) passed.push(shown, one);
  }
  passed.push(...SHOWN_AS_NOTHING);
  return passed;
}

// Fields that decide how a message is framed, read, routed or authenticated may not come behind it (RFC 9110 §6.5.1).
const NOT_IN_TRAILERS =
  /^(content-.*|set-cookie|trailer|authorization|www-authenticate|age|cache-control|date|expires|location|retry-after|vary|warning|range|if-.*)$/;

/** An API's trailers as the caller may see them: pairs of name and value, as `addTrailers` takes them. */
export function trailerFields(trailers: Headers): [name: string, value: string][] {
  return Object.entries(trailers).flatMap(([name, value = []]) =>
    isWithheld(name) || NOT_IN_TRAILERS.test(name) ? [] : [value].flat().map((one): [string, string] => [name, one]),
  );
}

function isWithheld(name: string): boolean {
  if (name === 'content-length' || name === 'trailer') return false;
  if (name.startsWith(OURS)) return true;
  return (
    NOT_FORWARDED.has(name) || FOR_OUR_ORIGIN.has(name) || name === 'x-content-type-options' || name.startsWith(CORS)
  );
}

function namedByConnection(value: string | string[] | undefined): Set<string> | undefined {
  const text = String(value ?? '').toLowerCase();
  if (text === '' || text === 'keep-alive' || text === 'close') return undefined;
  return new Set(text.split(',').map((name) => name.trim()));
}

import type { IncomingMessage } from 'node:http';
import { FRAMING_FIELDS, type HeaderFields } from '../../formats/header-fields.ts';

// Fields that a proxy handles itself (RFC 9110 §11.7).
const PROXY_AUTHENTICATION = ['proxy-authenticate', 'proxy-authorization'];
const NOT_FORWARDED: ReadonlySet<string> = new Set([...FRAMING_FIELDS, ...PROXY_AUTHENTICATION]);

// With these fields, and all fields with the prefix below, an API could change our origin's state in a browser.
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

/** Prefix of our own fields. No API receives them, and none can send them. */
const OURS = 'nango-';

/**
 * Returns the caller's fields that are forwarded to an API. Fields of the connection, those that `Connection` names,
 * our own, and the `Authorization` that is meant for us are left out. Repeated fields are joined (RFC 9110 §5.3).
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

// If a browser displays a response, it displays it as inert data.
const INERT_DISPLAY = ['content-security-policy', "default-src 'none'; sandbox", 'x-content-type-options', 'nosniff'];

/**
 * Returns an API's fields that are forwarded to the caller: names and values in turn, as `writeHead` takes them.
 * Cookies are renamed to `nango-set-cookie`, so no browser takes them for ours. Fields that change something for our
 * origin are left out. 1xx and 204 have no Content-Length (RFC 9110 §8.6).
 */
export function responseHeaders(headers: HeaderFields, { withTrailer = false, withLength = true } = {}): string[] {
  const named = namedByConnection(headers['connection']);
  const passed: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || named?.has(name) || isWithheld(name)) continue;
    if ((name === 'trailer' && !withTrailer) || (name === 'content-length' && !withLength)) continue;
    const sentName = name === 'set-cookie' ? 'nango-set-cookie' : name;
    if (typeof value === 'string') passed.push(sentName, value);
    else for (const one of value) passed.push(sentName, one);
  }
  passed.push(...INERT_DISPLAY);
  return passed;
}

// Fields that frame, route or authenticate a message, or say how to read it, may not be trailers (RFC 9110 §6.5.1).
const NOT_IN_TRAILERS = new RegExp(
  '^(content-.*|set-cookie|trailer|authorization|www-authenticate|age|cache-control|date|expires|location|' +
    'retry-after|vary|warning|range|if-.*)$',
);

/** Returns an API's trailers that are forwarded to the caller: pairs of name and value, as `addTrailers` takes them. */
export function trailerFields(trailers: HeaderFields): [name: string, value: string][] {
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

import { percentEncode } from './percent-encoding.ts';

/** Parameters in the order of the request. A name may occur more than once. */
export type Parameters = readonly (readonly [name: string, value: string])[];

/** The parts of a request that are signed. */
export interface SignedRequest {
  readonly method: string;
  /** The URL with its query. */
  readonly url: string;
  /** Protocol parameters and, if the body is a form, its parameters (RFC 5849 §3.4.1.3.1). */
  readonly parameters: Parameters;
}

/** Returns the text that is signed (RFC 5849 §3.4.1.1): method, base string URI and normalized parameters. */
export function signatureBaseString({ method, url, parameters }: SignedRequest): string {
  const parsed = new URL(url);
  const all = [...parsed.searchParams, ...parameters];
  return [method.toUpperCase(), baseStringUri(parsed), normalizeParameters(all)].map(percentEncode).join('&');
}

/** RFC 5849 §3.4.1.2. The URL parser has lower-cased scheme and host, and removed a default port. */
function baseStringUri({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

/** RFC 5849 §3.4.1.3.2: encoded first, then sorted by name and value in byte order. */
function normalizeParameters(parameters: Parameters): string {
  return parameters
    .map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
    .toSorted(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

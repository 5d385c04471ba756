import { percentEncode } from './percent-encoding.ts';

/** Parameters in the order they came; a name may stand more than once. */
export type Parameters = readonly (readonly [name: string, value: string])[];

/** What of a request is signed. */
export interface SignedRequest {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  /** Protocol parameters and, where the body is a form, its parameters (RFC 5849 §3.4.1.3.1). */
  readonly parameters: Parameters;
}

/** The text that is signed (RFC 5849 §3.4.1.1): method, base string URI and normalized parameters. */
export function signatureBaseString({ method, url, parameters }: SignedRequest): string {
  const parsed = new URL(url);
  const all = [...parsed.searchParams, ...parameters];
  return [method.toUpperCase(), baseStringUri(parsed), normalizeParameters(all)].map(percentEncode).join('&');
}

/** RFC 5849 §3.4.1.2; the URL parser has put scheme and host into lower case and dropped a default port. */
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

import type { z } from 'zod';
import { excerpt, OAuthResponseError } from '../oauth-error.ts';
import type { OAuthHttp, OAuthHttpResponse } from '../oauth-http.ts';
import { readBody, readLocation } from '../response-body.ts';
import { parseJson } from '../../formats/parse-json.ts';

const MAX_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The places where a published document may be, and the check that it is the right one. */
export interface MetadataQuery<T extends z.ZodType> {
  /** The document's name for error messages. */
  readonly what: string;
  /** In the order of the requests. */
  readonly urls: readonly string[];
  readonly schema: T;
  /** Returns why a document is not the right one; undefined if it is. */
  readonly problem: (document: z.output<T>) => string | undefined;
}

/**
 * Loads the first right document among some URLs. A response that is not metadata, such as a page, is skipped. Throws
 * `provider_error` with the first document's problem if none is usable.
 */
export async function metadataDocument<T extends z.ZodType>(
  query: MetadataQuery<T>,
  http: OAuthHttp,
): Promise<z.output<T>> {
  const { what, urls } = query;
  let problem: string | undefined;
  for (const url of urls) {
    const response = await fetchDocument(url, http);
    if (response.status !== 200) continue;
    const read = readDocument(
      readBody(response, (text) => parseJson(text)),
      query,
    );
    if ('document' in read) return read.document;
    problem ??= `${what} at ${url} cannot be used: ${read.problem}`;
  }
  throw invalidMetadata(problem ?? `${what} was not found at any of these URLs: ${urls.join(', ')}`);
}

function readDocument<T extends z.ZodType>(
  json: unknown,
  { schema, problem }: MetadataQuery<T>,
): { document: z.output<T> } | { problem: string } {
  if (json === undefined) return { problem: 'it is not JSON' };
  const { success, data, error } = schema.safeParse(json);
  if (!success) {
    const [issue] = error.issues;
    return { problem: `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}` };
  }
  const wrong = problem(data);
  return wrong === undefined ? { document: data } : { problem: excerpt(wrong) };
}

/**
 * Fetches a URL, and follows redirects within its origin. A document of another origin would not be this server's own.
 */
async function fetchDocument(url: string, http: OAuthHttp): Promise<OAuthHttpResponse> {
  let at = url;
  for (let redirects = 0; ; redirects += 1) {
    const response = await http({ method: 'GET', url: at, headers: { accept: 'application/json' } });
    const target = REDIRECTS.has(response.status) ? readLocation(response, at) : undefined;
    if (target?.origin !== new URL(url).origin || redirects === MAX_REDIRECTS) return response;
    at = target.href;
  }
}

/**
 * Returns a well-known URL. Its suffix goes between host and path (RFC 8615 §3, RFC 8414 §3.1), so that one host can
 * have the metadata of many.
 */
export function wellKnownUrl(identifier: string, suffix: string): string {
  const url = new URL(identifier);
  url.pathname = `/.well-known/${suffix}${url.pathname.replace(/\/$/, '')}`;
  return url.href;
}

function invalidMetadata(message: string): OAuthResponseError {
  return new OAuthResponseError('provider_error', `${message}.`, { error: 'invalid_metadata' });
}

import type { z } from 'zod';
import { excerpt, OAuthResponseError } from './oauth-error.ts';
import type { OAuthHttp } from './oauth-http.ts';
import { parseJson } from './parse-json.ts';

/** Where a published document may lie, and what makes it the right one. */
export interface MetadataQuery<T extends z.ZodType> {
  readonly what: string;
  /** In the order they are asked. */
  readonly urls: readonly string[];
  readonly schema: T;
  /** Why a document that was found is not the one looked for; undefined = it is. */
  readonly problem: (document: z.output<T>) => string | undefined;
}

/** The first document that one of some URLs publishes. Throws `provider_error` when there is none, or a wrong one. */
export async function metadataDocument<T extends z.ZodType>(
  { what, urls, schema, problem }: MetadataQuery<T>,
  http: OAuthHttp,
): Promise<z.output<T>> {
  for (const url of urls) {
    const { status, body } = await http({ method: 'GET', url, headers: { accept: 'application/json' } });
    if (status !== 200) continue;
    const parsed = schema.safeParse(parseJson(body));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw refusal(`${what} at ${url} cannot be used: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
    }
    const wrong = problem(parsed.data);
    if (wrong !== undefined) throw refusal(`${what} at ${url} cannot be used: ${excerpt(wrong)}`);
    return parsed.data;
  }
  throw refusal(`${what} was found nowhere: ${urls.join(', ')}`);
}

/**
 * A well-known URL: its suffix goes between host and path (RFC 8615 §3, RFC 8414 §3.1), so that one host can carry the
 * metadata of many.
 */
export function wellKnownUrl(identifier: string, suffix: string): string {
  const url = new URL(identifier);
  url.pathname = `/.well-known/${suffix}${url.pathname.replace(/\/$/, '')}`;
  return url.href;
}

function refusal(message: string): OAuthResponseError {
  return new OAuthResponseError('provider_error', `${message}.`, { error: 'invalid_metadata' });
}

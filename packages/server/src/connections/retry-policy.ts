import { parseRetryAfter } from '../upstream/retry-after.ts';

const MAX_RETRIES = 3;
const MAX_WAIT_MS = 30_000;
const FIRST_WAIT_MS = 1_000;
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** An answer of an API, and how often it was asked again already. */
export interface Answer {
  readonly method: string;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly retries: number;
}

/**
 * Milliseconds to wait before an API is asked again, or undefined for an answer that is final. 429 says that nothing was
 * done, so any method may be sent again; 503 does not, so only idempotent ones are, and only when the API names a time
 * (RFC 6585 §4, RFC 9110 §15.6.4). At most three times, and none longer than 30 s: that is the caller's decision.
 */
export function waitBeforeRetry({ method, status, headers, retries }: Answer, now: number): number | undefined {
  if ((status !== 429 && status !== 503) || retries >= MAX_RETRIES) return undefined;
  const named = parseRetryAfter(String(headers['retry-after'] ?? ''), now);
  if (status === 503 && (named === undefined || !IDEMPOTENT.has(method))) return undefined;
  const wait = named ?? FIRST_WAIT_MS * 2 ** retries;
  return wait <= MAX_WAIT_MS ? wait : undefined;
}

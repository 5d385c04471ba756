import { NangoError } from '../errors/nango-error.ts';
import { hasTrait } from '../errors/registry.ts';
import { OAuthResponseError } from '../oauth/oauth-error.ts';
import type { RefreshState } from '../store/store.ts';

const DAY_MS = 86_400_000;
// A few refusals may all belong to one outage, however long ago the first one was.
const MIN_REFUSALS = 10;
// The 4xx statuses that concern the address, time, load or a proxy, and not the grant.
const OTHER_CAUSES = new Set([404, 405, 407, 408, 421, 425, 429]);
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** Whether the provider said that the grant is invalid. Only this error code says so (RFC 6749 §5.2). */
export function isRevoked(error: unknown): boolean {
  return error instanceof OAuthResponseError && error.error === 'invalid_grant';
}

/**
 * Whether the provider refused without a reason. Some providers do so when a refresh token is no longer valid, but a
 * single refusal does not prove it.
 */
export function isUnexplainedRefusal(error: unknown): boolean {
  if (!(error instanceof OAuthResponseError) || error.code !== 'token_exchange_failed') return false;
  const { httpStatus = 0 } = error;
  return !error.error && httpStatus >= 400 && httpStatus < 500 && !OTHER_CAUSES.has(httpStatus);
}

/** Whether an unexplained refusal, after earlier ones, means that the grant is invalid; `afterDays` 0 = never. */
export function isLastRefusal({ refusals, refusedForMs }: RefreshState, afterDays: number): boolean {
  return afterDays > 0 && refusals + 1 >= MIN_REFUSALS && (refusedForMs ?? 0) >= afterDays * DAY_MS;
}

/** Whether the provider may have rotated the tokens: the request reached it, and its response was not read. */
export function mayHaveResponded(error: unknown): boolean {
  if (error instanceof OAuthResponseError) return (error.httpStatus ?? 0) < 300;
  if (!(error instanceof NangoError) || !hasTrait(error.code, 'network')) return false;
  const { cause } = error;
  return !(cause instanceof Error && 'code' in cause && NEVER_SENT.has(String(cause.code)));
}

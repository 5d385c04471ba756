import { NangoError } from '../errors/nango-error.ts';
import { OAuthResponseError } from '../oauth/oauth-error.ts';
import type { RefreshState } from '../store/store.ts';

const DAY_MS = 86_400_000;
// However long ago the first was: a few refusals may all fall into one outage.
const LEAST_REFUSALS = 10;
// Of 4xx, those that speak of the address, of time, of load or of a proxy, and not of the grant.
const OTHER_CAUSES = new Set([404, 405, 407, 408, 421, 425, 429]);
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** Whether the provider said that the grant is gone: only this one error code does (RFC 6749 §5.2). */
export function isRevoked(error: unknown): boolean {
  return error instanceof OAuthResponseError && error.error === 'invalid_grant';
}

/** Whether the provider refused and gave no reason, as some do once a refresh token is dead. Alone it says nothing. */
export function isUnexplainedRefusal(error: unknown): boolean {
  if (!(error instanceof OAuthResponseError) || error.code !== 'token_exchange_failed') return false;
  const { httpStatus = 0 } = error;
  return !error.error && httpStatus >= 400 && httpStatus < 500 && !OTHER_CAUSES.has(httpStatus);
}

/** Whether an unexplained refusal, after those before it, means that the grant is gone. */
export function isLastRefusal({ refusals, refusedForMs }: RefreshState, afterDays: number): boolean {
  return afterDays > 0 && refusals + 1 >= LEAST_REFUSALS && (refusedForMs ?? 0) >= afterDays * DAY_MS;
}

/** Whether the provider may have rotated the tokens all the same: it was reached, and its answer was not read. */
export function mayHaveResponded(error: unknown): boolean {
  if (error instanceof OAuthResponseError) return (error.httpStatus ?? 0) < 300;
  if (!(error instanceof NangoError) || !/^(request|response)_/.test(error.code)) return false;
  const { cause } = error;
  return !(cause instanceof Error && 'code' in cause && NEVER_SENT.has(String(cause.code)));
}

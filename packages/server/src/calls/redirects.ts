import { isSecureUrl } from '../schema/loopback-host.ts';
import { resolveReference, targetOf, type RequestTarget } from '../formats/request-target.ts';

const MAX_REDIRECTS = 5;

/** A response that may redirect. */
export interface RedirectResponse {
  readonly method: string;
  readonly status: number;
  readonly location: string | string[] | undefined;
  /** Where the request was sent. */
  readonly from: RequestTarget;
  readonly redirects: number;
  /** Whether the request's body can be sent again; true if there is none. */
  readonly isReplayable: boolean;
}

/** The request that follows. */
export interface Redirect {
  readonly target: RequestTarget;
  readonly method: string;
  /** Whether the body is sent again. */
  readonly keepsBody: boolean;
}

/**
 * Returns the request that follows a redirect; undefined for a redirect that is forwarded to the caller. At most five
 * are followed, within the API's origin and to `listed` origins (RFC 9110 §15.4). 301 and 302 of methods other than GET
 * and HEAD mean different things to different clients, so they are forwarded.
 */
export function redirectOf(
  { method, status, location, from, redirects, isReplayable }: RedirectResponse,
  { apiOrigin, listed, allowHttp }: { apiOrigin: string; listed: readonly string[]; allowHttp: boolean },
): Redirect | undefined {
  if (typeof location !== 'string' || redirects >= MAX_REDIRECTS) return undefined;
  const isRead = method === 'GET' || method === 'HEAD';
  const turnsToGet = status === 303 && !isRead;
  if (status === 301 || status === 302 ? !isRead : status === 307 || status === 308 ? !isReplayable : status !== 303)
    return undefined;
  const url = resolveReference(location, from);
  if (!url || url.username !== '' || url.password !== '' || !isSecureUrl(url, allowHttp)) return undefined;
  if (url.origin !== apiOrigin && !listed.includes(url.origin)) return undefined;
  return { target: targetOf(url), method: turnsToGet ? 'GET' : method, keepsBody: !turnsToGet && !isRead };
}

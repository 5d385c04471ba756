import { isSecureUrl } from '../schema/loopback-host.ts';

const MAX_REDIRECTS = 5;

/** A response that may redirect. */
export interface RedirectResponse {
  readonly method: string;
  readonly status: number;
  readonly location: string | string[] | undefined;
  /** The URL of the request. */
  readonly url: string;
  readonly redirects: number;
  /** Whether the request's body can be sent again; true if there is none. */
  readonly isReplayable: boolean;
}

/** The request that follows. */
export interface Redirect {
  readonly url: URL;
  readonly method: string;
  /** Whether the body is sent again. */
  readonly keepsBody: boolean;
}

/**
 * Where a redirect leads; undefined for one that is forwarded to the caller. At most five are followed, within the
 * API's origin and to `listed` origins (RFC 9110 §15.4). 301 and 302 of methods other than GET and HEAD mean different
 * things to different clients, so they are forwarded.
 */
export function redirectOf(
  { method, status, location, url, redirects, isReplayable }: RedirectResponse,
  { apiOrigin, listed, allowHttp }: { apiOrigin: string; listed: readonly string[]; allowHttp: boolean },
): Redirect | undefined {
  if (typeof location !== 'string' || redirects >= MAX_REDIRECTS) return undefined;
  const isRead = method === 'GET' || method === 'HEAD';
  const turnsToGet = status === 303 && !isRead;
  if (status === 301 || status === 302 ? !isRead : status === 307 || status === 308 ? !isReplayable : status !== 303)
    return undefined;
  const target = URL.parse(location, url);
  if (!target || target.username !== '' || target.password !== '' || !isSecureUrl(target, allowHttp)) return undefined;
  if (target.origin !== apiOrigin && !listed.includes(target.origin)) return undefined;
  return { url: target, method: turnsToGet ? 'GET' : method, keepsBody: !turnsToGet && !isRead };
}

import { NangoError } from '../errors/nango-error.ts';
import type { ErrorCode } from '../errors/registry.ts';

/** Whether a host can be reached only from this machine (RFC 6761 §6.3, RFC 5735). */
export function isLoopbackHost(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(hostname);
}

/** Whether credentials may be sent to a URL: by https, within this machine, or if the configuration permits http. */
export function isSecureUrl(url: URL, allowHttp: boolean): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && (allowHttp || isLoopbackHost(url.hostname)));
}

/** Throws `code` if credentials may not be sent to a URL. `source` says who names the URL. */
export function assertSecureUrl(
  url: URL,
  { allowHttp, source, code }: { allowHttp: boolean; source: string; code: ErrorCode },
): void {
  if (isSecureUrl(url, allowHttp)) return;
  throw new NangoError(code, `${source} uses http, at ${url.host}. Outside loopback, only https is allowed.`);
}

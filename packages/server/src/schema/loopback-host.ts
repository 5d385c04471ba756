/** Whether a host can be reached only from this machine (RFC 6761 §6.3, RFC 5735). */
export function isLoopbackHost(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(hostname);
}

/** Whether credentials may be sent to a URL: by https, within this machine, or if the configuration permits http. */
export function isSecureUrl(url: URL, allowHttp: boolean): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && (allowHttp || isLoopbackHost(url.hostname)));
}

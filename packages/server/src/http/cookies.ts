import { Secret } from '../vault/secret.ts';

/** A cookie that only our callback reads. */
export interface Cookie {
  readonly name: string;
  readonly value: Secret<string>;
  /** Whether the public root is https. Then the name binds the cookie to this host (RFC 6265bis §4.1.3.2). */
  readonly secure: boolean;
  readonly maxAgeSeconds: number;
}

const HOST_PREFIX = '__Host-';

/**
 * Returns the Set-Cookie header of a cookie that no script and no other site can read. It is Lax, and not Strict,
 * because another site starts the navigation to the callback.
 */
export function cookieHeader({ name, value, secure, maxAgeSeconds }: Cookie): string {
  const attributes = `Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax`;
  const pair = `${name}=${value.reveal()}`;
  return secure ? `${HOST_PREFIX}${pair}; ${attributes}; Secure` : `${pair}; ${attributes}`;
}

/**
 * Parses the cookies of a request, by name without prefix. With https, only cookies with the prefix count: another host
 * of the same site could have set any other one.
 */
export function parseCookies(header: string | undefined, secure: boolean): ReadonlyMap<string, Secret<string>> {
  const cookies = new Map<string, Secret<string>>();
  for (const pair of (header ?? '').split(';')) {
    const split = pair.indexOf('=');
    const name = pair.slice(0, Math.max(split, 0)).trim();
    const value = new Secret(pair.slice(split + 1).trim());
    if (!secure) cookies.set(name, value);
    else if (name.startsWith(HOST_PREFIX)) cookies.set(name.slice(HOST_PREFIX.length), value);
  }
  return cookies;
}

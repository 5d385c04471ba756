import { createHash, timingSafeEqual } from 'node:crypto';
import type { onRequestHookHandler } from 'fastify';
import { NangoError } from '../errors/nango-error.ts';
import type { Secret } from '../vault/secret.ts';

/** The token of an `Authorization: Bearer` header (RFC 6750 §2.1); undefined when there is none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\w.~+/=-]+)$/i.exec(authorization ?? '')?.[1];
}

/**
 * Makes what throws `unauthorized` for anything but an `Authorization` header with the secret key. Digests are compared, so
 * time tells neither content nor length.
 */
export function checkSecretKey(secretKey: Secret<string>): (authorization: string | undefined) => void {
  const expected = digest(secretKey.reveal());
  return (authorization) => {
    const given = bearerToken(authorization);
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
    const why = given === undefined ? 'is missing: send it as "Authorization: Bearer <key>"' : 'is wrong';
    throw new NangoError('unauthorized', `The secret key ${why}.`);
  };
}

/** Refuses requests without the secret key. */
export function requireSecretKey(secretKey: Secret<string>): onRequestHookHandler {
  const check = checkSecretKey(secretKey);
  return async ({ headers }) => check(headers.authorization);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

import { timingSafeEqual } from 'node:crypto';
import type { onRequestAsyncHookHandler } from 'fastify';
import { NangoError } from '../errors/nango-error.ts';
import type { Secret } from '../vault/secret.ts';

// More than any key has.
const COMPARED_BYTES = 256;

/** The token of an `Authorization: Bearer` header (RFC 6750 §2.1); undefined when there is none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\w.~+/=-]+)$/i.exec(authorization ?? '')?.[1];
}

/**
 * Makes what throws `unauthorized` for anything but an `Authorization` header with the secret key. As
 * many bytes are compared whatever was sent, so that time tells neither content nor length.
 */
export function checkSecretKey(secretKey: Secret<string>): (authorization: string | undefined) => void {
  const key = Buffer.from(secretKey.reveal());
  const expected = Buffer.alloc(Math.max(key.length, COMPARED_BYTES));
  key.copy(expected);
  const compared = Buffer.alloc(expected.length);
  const isKey = (given: string) => {
    compared.fill(0);
    const written = compared.write(given);
    return timingSafeEqual(compared, expected) && written === key.length && given.length <= compared.length;
  };
  return (authorization) => {
    const given = bearerToken(authorization);
    if (given !== undefined && isKey(given)) return;
    const why = given === undefined ? 'is missing: send it as "Authorization: Bearer <key>"' : 'is wrong';
    throw new NangoError('unauthorized', `The secret key ${why}.`);
  };
}

/** Refuses requests without the secret key. */
export function requireSecretKey(secretKey: Secret<string>): onRequestAsyncHookHandler {
  const check = checkSecretKey(secretKey);
  return async ({ headers }) => check(headers.authorization);
}

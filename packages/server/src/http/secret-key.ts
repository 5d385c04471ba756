import { createHash, timingSafeEqual } from 'node:crypto';
import type { onRequestHookHandler } from 'fastify';
import { NangoError } from '../errors/nango-error.ts';
import type { Secret } from '../vault/secret.ts';

/** The token of an `Authorization: Bearer` header (RFC 6750 §2.1); undefined when there is none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\w.~+/=-]+)$/i.exec(authorization ?? '')?.[1];
}

/** Refuses requests without the secret key. Digests are compared, so time tells neither content nor length. */
export function requireSecretKey(secretKey: Secret<string>): onRequestHookHandler {
  const expected = digest(secretKey.reveal());
  return (request, _reply, done) => {
    const given = bearerToken(request.headers.authorization);
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return done();
    const why = given === undefined ? 'is missing: send it as "Authorization: Bearer <key>"' : 'is wrong';
    done(new NangoError('unauthorized', `The secret key ${why}.`));
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

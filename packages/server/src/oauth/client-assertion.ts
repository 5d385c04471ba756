import type { ClientAuthenticationMethod } from './client-authentication.ts';
import { Secret } from '../vault/secret.ts';
import { signJwt, type JwtAlgorithm } from './json-web-token.ts';

const LIFE_SECONDS = 60;

/** Settings of a client assertion. */
export interface ClientAssertion {
  readonly algorithm: JwtAlgorithm;
  readonly keyId: string | undefined;
  /** The token endpoint's URL, or the issuer identifier (RFC 7523 §3). */
  readonly audience: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly randomToken: () => string;
}

/**
 * `private_key_jwt` and `client_secret_jwt`: a fresh, short-lived JWT replaces the secret (RFC 7523 §2.2). The client's
 * `client_secret` is the PEM private key, or for HS256 the shared secret. It is never sent.
 */
export function clientAssertion({
  algorithm,
  keyId,
  audience,
  now,
  randomToken,
}: ClientAssertion): ClientAuthenticationMethod {
  return ({ client_id = '', client_secret = new Secret('') }) => {
    const iat = Math.floor(now() / 1000);
    const claims = { iss: client_id, sub: client_id, aud: audience, jti: randomToken(), iat, exp: iat + LIFE_SECONDS };
    const client_assertion = signJwt(claims, { algorithm, key: client_secret, keyId });
    const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    return { params: { client_id, client_assertion_type, client_assertion } };
  };
}

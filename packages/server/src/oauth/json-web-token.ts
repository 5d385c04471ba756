import { createHmac, createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { NangoError } from '../errors/nango-error.ts';

/** Claims of a token (RFC 7519 §4). */
export type JwtClaims = Readonly<Record<string, string | number>>;

type Signer = (input: string, key: string) => Buffer;

/** JWS algorithms (RFC 7518 §3.1), each resolved once to the function that signs. */
const ALGORITHMS = {
  HS256: (input, key) => createHmac('sha256', key).update(input).digest(),
  RS256: (input, key) => sign('sha256', Buffer.from(input), privateKey(key, 'rsa')),
  // JOSE wants the two integers side by side, not the DER that X.509 uses (RFC 7518 §3.4).
  ES256: (input, key) => sign('sha256', Buffer.from(input), { key: privateKey(key, 'ec'), dsaEncoding: 'ieee-p1363' }),
} satisfies Record<string, Signer>;

export type JwtAlgorithm = keyof typeof ALGORITHMS;

export interface JwtSigningKey {
  readonly algorithm: JwtAlgorithm;
  /** PEM for RS256 and ES256, the shared secret for HS256. */
  readonly key: string;
  readonly keyId?: string | undefined;
}

/** A signed JWT in compact serialization (RFC 7515 §7.1). Throws `invalid_value` when the key does not fit. */
export function signJwt(claims: JwtClaims, { algorithm, key, keyId }: JwtSigningKey): string {
  const header = { alg: algorithm, typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) };
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${ALGORITHMS[algorithm](input, key).toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function privateKey(pem: string, type: 'rsa' | 'ec'): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === type) return key;
  } catch {
    // The parser's words may hold a part of the key.
  }
  throw new NangoError('invalid_value', `The key must be ${type === 'rsa' ? 'an RSA' : 'a P-256'} private key in PEM.`);
}

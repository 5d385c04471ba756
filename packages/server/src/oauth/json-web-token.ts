import { constants, createHmac, sign, type KeyObject } from 'node:crypto';
import { NangoError } from '../errors/nango-error.ts';
import { Secret } from '../vault/secret.ts';
import { readPrivateKey } from '../formats/pem.ts';

/** Claims of a token (RFC 7519 §4). */
export type JwtClaims = Readonly<Record<string, string | number | readonly string[]>>;

type Key = string | Uint8Array;
type Signer = (input: Buffer, key: Key) => Buffer;

const hmac =
  (hash: string): Signer =>
  (input, key) =>
    createHmac(hash, key).update(input).digest();
const rsa =
  (hash: string): Signer =>
  (input, key) =>
    sign(hash, input, privateKey(key, 'an RSA', isRsa));
const rsaPss =
  (hash: string): Signer =>
  (input, key) => {
    const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
    return sign(hash, input, { key: privateKey(key, 'an RSA', isRsa), padding, saltLength });
  };
const ecdsa =
  (hash: string, curve: string, words: string): Signer =>
  (input, key) => {
    const curveKey = privateKey(key, words, ({ asymmetricKeyDetails }) => asymmetricKeyDetails?.namedCurve === curve);
    // JOSE concatenates the two integers and does not use the DER encoding of X.509 (RFC 7518 §3.4).
    return sign(hash, input, { key: curveKey, dsaEncoding: 'ieee-p1363' });
  };
const eddsa: Signer = (input, key) =>
  sign(
    null,
    input,
    privateKey(key, 'an Ed25519', ({ asymmetricKeyType }) => asymmetricKeyType === 'ed25519'),
  );

/** JWS algorithms (RFC 7518 §3.1, RFC 8037 §3.1) that sign a JWT. */
const ALGORITHMS = {
  RS256: rsa('sha256'),
  RS384: rsa('sha384'),
  RS512: rsa('sha512'),
  PS256: rsaPss('sha256'),
  ES256: ecdsa('sha256', 'prime256v1', 'a P-256'),
  ES384: ecdsa('sha384', 'secp384r1', 'a P-384'),
  EdDSA: eddsa,
  HS256: hmac('sha256'),
  HS384: hmac('sha384'),
  HS512: hmac('sha512'),
} satisfies Record<string, Signer>;

/** The name of an algorithm that signs a JWT. */
export type JwtAlgorithm = keyof typeof ALGORITHMS;

/** The names of all algorithms. */
export const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'ES256',
  'ES384',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
] as const satisfies readonly JwtAlgorithm[];

/** The key that signs a JWT. */
export interface JwtSigningKey {
  readonly algorithm: JwtAlgorithm;
  /** PEM, or for HS algorithms the shared secret. */
  readonly key: Secret<Key>;
  readonly keyId?: string | undefined;
}

/** Returns a signed JWT in compact serialization (RFC 7515 §7.1). Throws `invalid_value` if the key does not fit. */
export function signJwt(claims: JwtClaims, { algorithm, key, keyId }: JwtSigningKey): Secret<string> {
  const header = { alg: algorithm, typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) };
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = ALGORITHMS[algorithm](Buffer.from(input), key.reveal());
  return new Secret(`${input}.${signature.toString('base64url')}`);
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function isRsa({ asymmetricKeyType }: KeyObject): boolean {
  return asymmetricKeyType === 'rsa';
}

function privateKey(pem: Key, words: string, fits: (key: KeyObject) => boolean): KeyObject {
  try {
    const key = readPrivateKey(typeof pem === 'string' ? pem : Buffer.from(pem).toString('utf8'));
    if (fits(key)) return key;
  } catch {
    // The parser's message may hold a part of the key.
  }
  throw new NangoError('invalid_value', `The key must be ${words} private key in PEM.`);
}

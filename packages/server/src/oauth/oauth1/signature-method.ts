import { createHmac, createSign } from 'node:crypto';
import { NangoError } from '../../errors/nango-error.ts';
import { readPrivateKey } from '../../formats/pem.ts';
import { percentEncode } from './percent-encoding.ts';
import type { Secret } from '../../vault/secret.ts';

/** The secrets of a signature. For RSA methods, the client's secret is its PEM private key. */
export interface SigningSecrets {
  readonly clientSecret: Secret<string>;
  /** Empty before a token is issued. */
  readonly tokenSecret: Secret<string>;
}

type Sign = (baseString: string, secrets: SigningSecrets) => string;

const hmac =
  (hash: string): Sign =>
  (baseString, secrets) =>
    createHmac(hash, sharedKey(secrets)).update(baseString, 'ascii').digest('base64');

const rsa =
  (algorithm: string): Sign =>
  (baseString, { clientSecret }) => {
    try {
      return createSign(algorithm).update(baseString, 'ascii').sign(readPrivateKey(clientSecret.reveal()), 'base64');
    } catch (cause) {
      throw new NangoError(
        'invalid_value',
        'oauth_client_secret must be an RSA private key in PEM for this signature_method.',
        { cause },
      );
    }
  };

/** RFC 5849 §3.4.2–§3.4.4, and the SHA-256 variants that providers added. */
export const SIGNATURE_METHODS = {
  'HMAC-SHA1': hmac('sha1'),
  'HMAC-SHA256': hmac('sha256'),
  'RSA-SHA1': rsa('RSA-SHA1'),
  'RSA-SHA256': rsa('RSA-SHA256'),
  PLAINTEXT: (_baseString, secrets) => sharedKey(secrets),
} satisfies Record<string, Sign>;

/** The name of a signature method. */
export type SignatureMethod = keyof typeof SIGNATURE_METHODS;

function sharedKey({ clientSecret, tokenSecret }: SigningSecrets): string {
  return `${percentEncode(clientSecret.reveal())}&${percentEncode(tokenSecret.reveal())}`;
}

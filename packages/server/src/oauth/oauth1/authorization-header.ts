import { percentEncode } from './percent-encoding.ts';
import { signatureBaseString, type Parameters } from './signature-base-string.ts';
import { SIGNATURE_METHODS, type SignatureMethod } from './signature-method.ts';
import { mapTexts, Secret, type MaybeSecret } from '../../vault/secret.ts';

/** The client and the token that sign. */
export interface OAuth1Signer {
  readonly clientId: string;
  /** For RSA methods the PEM private key. */
  readonly clientSecret: Secret<string>;
  readonly signatureMethod: SignatureMethod;
  /** Undefined before a token is issued. */
  readonly token?: { readonly oauth_token: Secret<string>; readonly oauth_token_secret: Secret<string> };
}

/** A request to be signed. */
export interface OAuth1Request {
  readonly method: string;
  readonly url: string;
  /** Parameters of a form body; those of other bodies are not signed (RFC 5849 §3.4.1.3.1). */
  readonly formParameters?: Parameters;
  /** Such as `oauth_callback` and `oauth_verifier`. */
  readonly protocolParameters?: Readonly<Record<string, MaybeSecret>>;
}

/** The timestamp and the nonce, which make each signature unique (RFC 5849 §3.3). */
export interface Freshness {
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly nonce: string;
}

const NO_SECRET = new Secret('');

/** Returns the `Authorization` header of a signed request (RFC 5849 §3.5.1). */
export function oauth1AuthorizationHeader(
  request: OAuth1Request,
  signer: OAuth1Signer,
  { timestamp, nonce }: Freshness,
): Secret<string> {
  const { clientId, clientSecret, signatureMethod, token } = signer;
  const protocol: Record<string, MaybeSecret> = {
    oauth_consumer_key: clientId,
    ...(token ? { oauth_token: token.oauth_token } : {}),
    oauth_signature_method: signatureMethod,
    oauth_timestamp: String(timestamp),
    oauth_nonce: nonce,
    oauth_version: '1.0',
    ...request.protocolParameters,
  };
  const secrets = { clientSecret, tokenSecret: token?.oauth_token_secret ?? NO_SECRET };
  return mapTexts(protocol, (texts) => {
    const parameters = [...Object.entries(texts), ...(request.formParameters ?? [])];
    const baseString = signatureBaseString({ method: request.method, url: request.url, parameters });
    const oauth_signature = SIGNATURE_METHODS[signatureMethod](baseString, secrets);
    return headerOf({ ...texts, oauth_signature });
  });
}

function headerOf(parameters: Record<string, string>): string {
  const pairs = Object.entries(parameters).map(([name, value]) => `${percentEncode(name)}="${percentEncode(value)}"`);
  return `OAuth ${pairs.join(', ')}`;
}

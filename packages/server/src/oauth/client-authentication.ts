import { mapTexts, Secret, secretTextsIn, type MaybeSecret } from '../vault/secret.ts';
import type { ClientCertificate } from './oauth-http.ts';

const NO_SECRET = new Secret('');

/** An OAuth 2.0 client as the authorization server knows it. */
export interface OAuthClient {
  /** Absent if the grant names no client, which an assertion allows (RFC 7523 §3.1). */
  readonly client_id?: string;
  /** Absent for a public client. */
  readonly client_secret?: Secret<string>;
}

/** How a token request authenticates its client. */
export interface ClientAuthentication {
  /** Credentials of the scheme `Basic` (RFC 7617 §2). */
  readonly basic?: Secret<string>;
  readonly params: Record<string, MaybeSecret>;
  /** Advice for the error message if the server does not know the client. */
  readonly hint?: string | undefined;
}

/** Adds a client's authentication to a token request (RFC 6749 §2.3). */
export type ClientAuthenticationMethod = (client: OAuthClient) => ClientAuthentication;

/** `client_secret_basic`: id and secret form-encoded, then Basic (RFC 6749 §2.3.1). */
export const clientSecretBasic: ClientAuthenticationMethod = (client) => {
  const encoded = basic(client, formEncode);
  const isSame = encoded.basic.equals(basic(client, (text) => text).basic);
  return isSame ? encoded : { ...encoded, hint: NOT_DECODED };
};

const NOT_DECODED =
  'The client id or secret has special characters, which were form-encoded (RFC 6749 §2.3.1). Some servers do not ' +
  'decode them: if id and secret are right, set auth.basic_encoding: plain.';

/** `client_secret_basic` for providers that do not form-decode id and secret. */
export const clientSecretBasicUnencoded: ClientAuthenticationMethod = (client) => basic(client, (text) => text);

/** `client_secret_post`: id and secret in the body (RFC 6749 §2.3.1). */
export const clientSecretPost: ClientAuthenticationMethod = ({ client_id = '', client_secret = NO_SECRET }) => ({
  params: { client_id, client_secret },
});

/**
 * `none`: a public client sends its id in the body (RFC 6749 §3.2.1). So does `tls_client_auth`, whose proof is the
 * connection's certificate (RFC 8705 §2).
 */
export const noClientSecret: ClientAuthenticationMethod = ({ client_id }) => ({
  params: client_id === undefined ? {} : { client_id },
});

interface AuthenticatedEndpoint {
  readonly client: OAuthClient;
  readonly authenticate: ClientAuthenticationMethod;
  readonly clientCertificate?: Secret<ClientCertificate> | undefined;
  /** Secrets that are not sent, but that the provider may know. No message quotes them. */
  readonly unsentSecrets?: readonly (Secret<string> | undefined)[];
}

/** Returns a form request that authenticates its client, for endpoints other than the token endpoint. */
export function authenticatedForm(endpoint: AuthenticatedEndpoint, params: Readonly<Record<string, MaybeSecret>>) {
  const authentication = endpoint.authenticate(endpoint.client);
  const body = { ...params, ...authentication.params };
  return {
    method: 'POST' as const,
    headers: {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      ...authenticationHeaders(authentication),
    },
    body: mapTexts(body, (texts) => new URLSearchParams(texts).toString()),
    clientCertificate: endpoint.clientCertificate,
    /** The secrets that the endpoint might repeat. No error message may quote them. */
    secrets: secretTextsIn(endpoint, authentication, body),
  };
}

/** Returns the headers of a request that authenticates its client. */
export function authenticationHeaders({ basic: credentials }: ClientAuthentication): Record<string, MaybeSecret> {
  return credentials === undefined ? {} : { authorization: credentials.map((text) => `Basic ${text}`) };
}

function basic({ client_id = '', client_secret = NO_SECRET }: OAuthClient, encode: (text: string) => string) {
  const pair = client_secret.map((secret) => `${encode(client_id)}:${encode(secret)}`);
  return { basic: pair.map((text) => Buffer.from(text, 'utf8').toString('base64')), params: {} };
}

/** `application/x-www-form-urlencoded` of one value, as RFC 6749 Appendix B prescribes. */
function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

import type { OAuthHttp } from '../oauth-http.ts';
import { tokenRequest, type TokenEndpoint } from '../token-request.ts';
import type { TokenResponse } from '../token-response.ts';
import type { MaybeSecret, Secret } from '../../vault/secret.ts';

/** The parameters of an authorization code grant. */
export interface AuthorizationCodeGrant {
  readonly code: Secret<string>;
  readonly redirect_uri: string;
  /** Undefined if PKCE is off. */
  readonly code_verifier: Secret<string> | undefined;
  readonly params: Readonly<Record<string, MaybeSecret>>;
}

/** Exchanges an authorization code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5). */
export function authorizationCodeGrant(
  endpoint: TokenEndpoint,
  grant: AuthorizationCodeGrant,
  http: OAuthHttp,
): Promise<TokenResponse> {
  const { code, redirect_uri, code_verifier, params } = grant;
  const verifier = code_verifier === undefined ? {} : { code_verifier };
  return tokenRequest(
    endpoint,
    { grant: { grant_type: 'authorization_code', code, redirect_uri, ...verifier }, params },
    http,
  );
}

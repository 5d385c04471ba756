import type { OAuthHttp } from '../oauth-http.ts';
import { tokenRequest, type TokenEndpoint } from '../token-request.ts';
import type { TokenResponse } from '../token-response.ts';
import type { MaybeSecret, Secret } from '../../vault/secret.ts';

/** The parameters of a resource owner password grant. */
export interface ResourceOwnerPasswordGrant {
  readonly username: string;
  readonly password: Secret<string>;
  readonly scope: string;
  readonly params: Readonly<Record<string, MaybeSecret>>;
}

/** Exchanges a user's name and password for tokens (RFC 6749 §4.3), for providers that have no better grant. */
export function resourceOwnerPasswordGrant(
  endpoint: TokenEndpoint,
  { username, password, scope, params }: ResourceOwnerPasswordGrant,
  http: OAuthHttp,
): Promise<TokenResponse> {
  const grant = { grant_type: 'password', username, password, ...(scope === '' ? {} : { scope }) };
  return tokenRequest(endpoint, { grant, params }, http);
}

import type { OAuthHttp } from '../oauth-http.ts';
import { tokenRequest, type TokenEndpoint } from '../token-request.ts';
import type { TokenResponse } from '../token-response.ts';
import type { MaybeSecret, Secret } from '../../vault/secret.ts';

/**
 * Exchanges a refresh token for new tokens (RFC 6749 §6). If the response has no refresh token, the previous one stays
 * valid and is returned.
 */
export async function refreshTokenGrant(
  endpoint: TokenEndpoint,
  { refresh_token, params }: { refresh_token: Secret<string>; params: Readonly<Record<string, MaybeSecret>> },
  http: OAuthHttp,
): Promise<TokenResponse> {
  const response = await tokenRequest(
    endpoint,
    { grant: { grant_type: 'refresh_token', refresh_token }, params },
    http,
  );
  return { ...response, refresh_token: response.refresh_token ?? refresh_token };
}

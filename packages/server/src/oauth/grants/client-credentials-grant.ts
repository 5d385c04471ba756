import type { OAuthHttp } from '../oauth-http.ts';
import { tokenRequest, type TokenEndpoint } from '../token-request.ts';
import type { TokenResponse } from '../token-response.ts';
import type { MaybeSecret } from '../../vault/secret.ts';

/** Requests tokens for the client itself (RFC 6749 §4.4). They are refreshed by the same request. */
export function clientCredentialsGrant(
  endpoint: TokenEndpoint,
  { scope, params }: { scope: string; params: Readonly<Record<string, MaybeSecret>> },
  http: OAuthHttp,
): Promise<TokenResponse> {
  const grant = { grant_type: 'client_credentials', ...(scope === '' ? {} : { scope }) };
  return tokenRequest(endpoint, { grant, params }, http);
}

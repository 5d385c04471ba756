import type { OAuthHttp } from '../oauth-http.ts';
import { tokenRequest, type TokenEndpoint } from '../token-request.ts';
import type { TokenResponse } from '../token-response.ts';
import type { MaybeSecret } from '../../vault/secret.ts';

/** Asks for tokens in the client's own name (RFC 6749 §4.4); such tokens are refreshed by asking again. */
export function clientCredentialsGrant(
  endpoint: TokenEndpoint,
  { scope, params }: { scope: string; params: Readonly<Record<string, MaybeSecret>> },
  http: OAuthHttp,
): Promise<TokenResponse> {
  const grant = { grant_type: 'client_credentials', ...(scope === '' ? {} : { scope }) };
  return tokenRequest(endpoint, { grant, params }, http);
}

import type { OAuthHttp } from '../oauth-http.ts';
import { tokenRequest, type TokenEndpoint } from '../token-request.ts';
import type { TokenResponse } from '../token-response.ts';
import type { MaybeSecret, Secret } from '../../vault/secret.ts';

/** `grant_type` of the JWT bearer grant (RFC 7523 §2.1). */
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** The parameters of a JWT bearer grant. */
export interface JwtBearerGrant {
  /** A signed JWT that names its issuer, subject and audience. */
  readonly assertion: Secret<string>;
  readonly scope: string;
  readonly params: Readonly<Record<string, MaybeSecret>>;
}

/** Exchanges a signed assertion for tokens (RFC 7523 §2.1), as service accounts do. */
export function jwtBearerGrant(
  endpoint: TokenEndpoint,
  { assertion, scope, params }: JwtBearerGrant,
  http: OAuthHttp,
): Promise<TokenResponse> {
  const grant = { grant_type: JWT_BEARER, assertion, ...(scope === '' ? {} : { scope }) };
  return tokenRequest(endpoint, { grant, params }, http);
}

import { authenticatedForm } from './client-authentication.ts';
import { excerpt, OAuthResponseError } from './oauth-error.ts';
import type { OAuthHttp } from './oauth-http.ts';
import type { TokenEndpoint } from './token-request.ts';
import type { Secret } from '../vault/secret.ts';
import { isSuccess } from '../formats/http-status.ts';

/** A revocation endpoint asks for the same client authentication as the token endpoint (RFC 7009 §2.1). */
export type RevocationEndpoint = Pick<
  TokenEndpoint,
  'url' | 'client' | 'authenticate' | 'clientCertificate' | 'unsentSecrets'
>;

/** The token to revoke. */
export interface TokenRevocation {
  readonly token: Secret<string>;
  readonly token_type_hint: 'access_token' | 'refresh_token';
}

/**
 * Revokes a token (RFC 7009 §2.1). Revoking a refresh token ends the whole grant. A token that the provider no longer
 * knows is a success, too (§2.2). Throws `provider_error` if the provider refuses.
 */
export async function revocationRequest(
  endpoint: RevocationEndpoint,
  revocation: TokenRevocation,
  http: OAuthHttp,
): Promise<void> {
  const { secrets, ...form } = authenticatedForm(endpoint, { ...revocation });
  const { status, body } = await http({ url: endpoint.url, ...form });
  if (isSuccess(status)) return;
  const detail = excerpt(body, secrets);
  throw new OAuthResponseError(
    'provider_error',
    `The revocation endpoint responded with status ${status}: ${detail || '(empty)'}`,
    {
      httpStatus: status,
    },
  );
}

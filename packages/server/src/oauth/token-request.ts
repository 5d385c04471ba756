import type { ClientAuthentication, ClientAuthenticationMethod, OAuthClient } from './client-authentication.ts';
import type { OAuthHttp } from './oauth-http.ts';
import { processTokenResponse, type TokenResponse } from './token-response.ts';

/** A token endpoint and how its provider wants to be asked (RFC 6749 §3.2). */
export interface TokenEndpoint {
  readonly url: string;
  readonly client: OAuthClient;
  readonly authenticate: ClientAuthenticationMethod;
  /** `json` for providers that do not take the form the RFC prescribes. */
  readonly bodyFormat: 'form' | 'json';
  /** Token types this client understands, in lower case (RFC 6749 §7.1). */
  readonly tokenTypes: readonly string[];
}

/**
 * Asks a token endpoint for tokens. `grant` is the grant's own parameters and wins over the configured `params`.
 * Throws {@link OAuthResponseError} when the answer is a refusal or unusable, and what `http` throws when there is none.
 */
export async function tokenRequest(
  endpoint: TokenEndpoint,
  { grant, params }: { grant: Record<string, string>; params: Record<string, string> },
  http: OAuthHttp,
): Promise<TokenResponse> {
  const authentication = endpoint.authenticate(endpoint.client);
  const body = { ...params, ...grant, ...authentication.params };
  const response = await http({
    method: 'POST',
    url: endpoint.url,
    headers: {
      accept: 'application/json',
      'content-type': endpoint.bodyFormat === 'json' ? 'application/json' : 'application/x-www-form-urlencoded',
      ...authentication.headers,
    },
    body: endpoint.bodyFormat === 'json' ? JSON.stringify(body) : new URLSearchParams(body).toString(),
  });
  return processTokenResponse(response, {
    tokenTypes: endpoint.tokenTypes,
    secrets: secretsOf(endpoint, grant, authentication),
  });
}

/** What a provider might echo and must not reach an error message. */
function secretsOf(
  { client }: TokenEndpoint,
  grant: Record<string, string>,
  { headers }: ClientAuthentication,
): string[] {
  const basic = headers['authorization']?.replace(/^Basic /, '');
  const sent = [client.client_secret, basic, grant['code'], grant['code_verifier'], grant['refresh_token']];
  return sent.filter((secret) => secret !== undefined);
}

import { excerpt, OAuthResponseError } from '../oauth-error.ts';
import type { OAuthHttp, OAuthHttpResponse } from '../oauth-http.ts';
import { oauth1AuthorizationHeader, type Freshness, type OAuth1Signer } from './authorization-header.ts';

/** Credentials with a shared secret: temporary ones, or a token's (RFC 5849 §2.1, §2.3). */
export interface OAuth1TokenCredentials {
  readonly oauth_token: string;
  readonly oauth_token_secret: string;
  /** The whole answer. */
  readonly raw: Record<string, string>;
}

/** An endpoint that hands out credentials. */
export interface CredentialsEndpoint {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Configured extras: the query of a GET, else the form. */
  readonly params: Record<string, string>;
}

export interface CredentialsRequest {
  readonly endpoint: CredentialsEndpoint;
  readonly signer: OAuth1Signer;
  readonly freshness: Freshness;
}

/** Asks for temporary credentials (RFC 5849 §2.1). The server must confirm that it knows the callback. */
export async function temporaryCredentialsRequest(
  request: CredentialsRequest & { oauth_callback: string },
  http: OAuthHttp,
): Promise<OAuth1TokenCredentials> {
  const credentials = await credentialsRequest(request, { oauth_callback: request.oauth_callback }, http);
  if (credentials.raw['oauth_callback_confirmed'] === 'true') return credentials;
  // Without it the server follows OAuth 1.0, whose session fixation 1.0a was made to end.
  throw new OAuthResponseError(
    'token_exchange_failed',
    'The request endpoint did not confirm the callback (oauth_callback_confirmed).',
    {},
  );
}

/** Exchanges authorized temporary credentials for token credentials (RFC 5849 §2.3). `signer.token` is the temporary one. */
export function tokenCredentialsRequest(
  request: CredentialsRequest & { oauth_verifier: string },
  http: OAuthHttp,
): Promise<OAuth1TokenCredentials> {
  return credentialsRequest(request, { oauth_verifier: request.oauth_verifier }, http);
}

async function credentialsRequest(
  { endpoint, signer, freshness }: CredentialsRequest,
  protocolParameters: Record<string, string>,
  http: OAuthHttp,
): Promise<OAuth1TokenCredentials> {
  const { method } = endpoint;
  const params = new URLSearchParams(endpoint.params);
  const url = new URL(endpoint.url);
  const inQuery = method === 'GET';
  if (inQuery) for (const [name, value] of params) url.searchParams.append(name, value);
  const formParameters = inQuery ? [] : [...params];
  const authorization = oauth1AuthorizationHeader(
    { method, url: url.href, formParameters, protocolParameters },
    signer,
    freshness,
  );
  const form = formParameters.length > 0 ? { body: params.toString() } : {};
  const contentType = formParameters.length > 0 ? { 'content-type': 'application/x-www-form-urlencoded' } : {};
  const response = await http({
    method,
    url: url.href,
    headers: { accept: '*/*', authorization, ...contentType },
    ...form,
  });
  const secrets = [signer.clientSecret, signer.token?.oauth_token_secret ?? '', ...Object.values(protocolParameters)];
  return processCredentialsResponse(response, secrets);
}

/** Reads a form-encoded answer (RFC 5849 §2.1, §2.3). Throws with the provider's words otherwise. */
function processCredentialsResponse(
  { status, body }: OAuthHttpResponse,
  secrets: readonly string[],
): OAuth1TokenCredentials {
  const raw = Object.fromEntries(new URLSearchParams(body.trim()));
  const { oauth_token, oauth_token_secret } = raw;
  const ok = status >= 200 && status < 300;
  if (ok && isToken(oauth_token) && isToken(oauth_token_secret)) return { oauth_token, oauth_token_secret, raw };
  // A success that cannot be read may hold tokens, so its text is never quoted.
  const said = ok ? 'an answer without usable oauth_token and oauth_token_secret' : excerpt(body, secrets);
  throw new OAuthResponseError(
    'token_exchange_failed',
    `The provider answered with status ${status}: ${said || '(empty)'}`,
    { httpStatus: status },
  );
}

function isToken(value: string | undefined): value is string {
  return value !== undefined && /^[\x20-\x7e]*$/.test(value) && value !== '';
}

import { isAccessDenied } from '../access-denied.ts';
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
  request: CredentialsRequest & { oauth_callback: string; confirmation: CallbackConfirmation },
  http: OAuthHttp,
): Promise<OAuth1TokenCredentials> {
  const { response, secrets } = await credentialsRequest(request, { oauth_callback: request.oauth_callback }, http);
  const credentials = processCredentialsResponse(response, secrets);
  if (isConfirmed(credentials.raw['oauth_callback_confirmed'], request.confirmation)) return credentials;
  // Without it the server follows OAuth 1.0, whose session fixation 1.0a was made to end.
  throw new OAuthResponseError(
    'token_exchange_failed',
    'The request endpoint did not confirm the callback (oauth_callback_confirmed). If it follows OAuth 1.0a and says so ' +
      'in another way, set auth.callback_confirmation.',
    {},
  );
}

/** What must be said of the callback: "true", anything but no, or nothing. */
export type CallbackConfirmation = 'exact' | 'any' | 'optional';

function isConfirmed(confirmed: string | undefined, confirmation: CallbackConfirmation): boolean {
  if (confirmation === 'exact') return confirmed === 'true';
  if (confirmed === undefined || confirmed === '') return confirmation === 'optional';
  return !/^(false|0|no)$/i.test(confirmed);
}

/** Exchanges authorized temporary credentials for token credentials (RFC 5849 §2.3). `signer.token` is the temporary one. */
export async function tokenCredentialsRequest(
  request: CredentialsRequest & { oauth_verifier: string; access_denied_errors: readonly string[] },
  http: OAuthHttp,
): Promise<OAuth1TokenCredentials> {
  const { oauth_verifier, access_denied_errors } = request;
  const { response, secrets } = await credentialsRequest(request, { oauth_verifier }, http);
  // Some providers send the user back as if they had agreed, and say it here.
  const problem = new URLSearchParams(response.body.trim()).get('oauth_problem') ?? '';
  if (isAccessDenied(problem, access_denied_errors))
    throw new OAuthResponseError('access_denied', `Access was denied (${problem}).`, { error: 'access_denied' });
  return processCredentialsResponse(response, secrets);
}

async function credentialsRequest(
  { endpoint, signer, freshness }: CredentialsRequest,
  protocolParameters: Record<string, string>,
  http: OAuthHttp,
): Promise<{ readonly response: OAuthHttpResponse; readonly secrets: readonly string[] }> {
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
  return { response, secrets };
}

/** Reads a form-encoded answer (RFC 5849 §2.1, §2.3). Throws with the provider's words otherwise. */
export function processCredentialsResponse(
  { status, body }: OAuthHttpResponse,
  secrets: readonly string[],
): OAuth1TokenCredentials {
  const raw = Object.fromEntries(new URLSearchParams(body.trim()));
  const { oauth_token, oauth_token_secret } = raw;
  const ok = status >= 200 && status < 300;
  // A shared secret may be empty (RFC 5849 §3.4.2).
  if (ok && isToken(oauth_token) && oauth_token !== '' && isToken(oauth_token_secret))
    return { oauth_token, oauth_token_secret, raw };
  // A success that cannot be read may hold tokens, so its text is never quoted.
  const said = ok ? 'an answer without usable oauth_token and oauth_token_secret' : excerpt(body, secrets);
  throw new OAuthResponseError(
    'token_exchange_failed',
    `The provider answered with status ${status}: ${said || '(empty)'}`,
    { httpStatus: status },
  );
}

function isToken(value: string | undefined): value is string {
  return value !== undefined && /^[\x20-\x7e]*$/.test(value);
}

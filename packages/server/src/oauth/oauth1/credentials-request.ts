import { isAccessDenied } from '../access-denied.ts';
import { readBody } from '../response-body.ts';
import { responseSecrets } from '../response-secrets.ts';
import { excerpt, OAuthResponseError } from '../oauth-error.ts';
import type { OAuthHttp, OAuthHttpResponse } from '../oauth-http.ts';
import { oauth1AuthorizationHeader, type Freshness, type OAuth1Signer } from './authorization-header.ts';
import { Secret, secretTextsIn, type MaybeSecret } from '../../vault/secret.ts';
import { isSuccess } from '../../formats/http-status.ts';

/** Credentials with a shared secret: temporary ones, or a token's (RFC 5849 §2.1, §2.3). */
export interface OAuth1TokenCredentials {
  readonly oauth_token: Secret<string>;
  readonly oauth_token_secret: Secret<string>;
  /** The whole response. */
  readonly raw: Secret<Record<string, string>>;
}

/** An endpoint that issues credentials. */
export interface CredentialsEndpoint {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Configured extras: the query of a GET, else the form. */
  readonly params: Record<string, string>;
}

/** A request for temporary or token credentials. */
export interface CredentialsRequest {
  readonly endpoint: CredentialsEndpoint;
  readonly signer: OAuth1Signer;
  readonly freshness: Freshness;
  /** Secrets that are not sent as such, but that the provider may repeat. No message quotes them. */
  readonly unsentSecrets?: readonly Secret<string>[];
}

/** Requests temporary credentials (RFC 5849 §2.1). The server must confirm that it knows the callback. */
export async function temporaryCredentialsRequest(
  request: CredentialsRequest & { oauth_callback: Secret<string>; confirmation: CallbackConfirmation },
  http: OAuthHttp,
): Promise<OAuth1TokenCredentials> {
  const { response, secrets } = await credentialsRequest(request, { oauth_callback: request.oauth_callback }, http);
  const credentials = processCredentialsResponse(response, secrets);
  if (isConfirmed(credentials.raw.reveal()['oauth_callback_confirmed'], request.confirmation)) return credentials;
  // Without the confirmation, the server follows OAuth 1.0, which allows session fixation. OAuth 1.0a prevents it.
  throw new OAuthResponseError(
    'token_exchange_failed',
    'The request endpoint did not confirm the callback (oauth_callback_confirmed). If it follows OAuth 1.0a and ' +
      'confirms the callback in another way, set auth.callback_confirmation.',
    {},
  );
}

/** How the server must confirm the callback: with "true", with any value that is not negative, or not at all. */
export type CallbackConfirmation = 'exact' | 'any' | 'optional';

function isConfirmed(confirmed: string | undefined, confirmation: CallbackConfirmation): boolean {
  if (confirmation === 'exact') return confirmed === 'true';
  if (confirmed === undefined || confirmed === '') return confirmation === 'optional';
  return !/^(false|0|no)$/i.test(confirmed);
}

/** Exchanges authorized temporary credentials, which are `signer.token`, for token credentials (RFC 5849 §2.3). */
export async function tokenCredentialsRequest(
  request: CredentialsRequest & { oauth_verifier: Secret<string>; access_denied_errors: readonly string[] },
  http: OAuthHttp,
): Promise<OAuth1TokenCredentials> {
  const { oauth_verifier, access_denied_errors } = request;
  const { response, secrets } = await credentialsRequest(request, { oauth_verifier }, http);
  // Some providers redirect the user as if they had agreed, and report the refusal here.
  const problem = readBody(response, (text) => new URLSearchParams(text.trim()).get('oauth_problem') ?? '');
  if (isAccessDenied(problem, access_denied_errors))
    throw new OAuthResponseError('access_denied', `Access was denied (${problem}).`, { error: 'access_denied' });
  return processCredentialsResponse(response, secrets);
}

async function credentialsRequest(
  { endpoint, signer, freshness, unsentSecrets }: CredentialsRequest,
  protocolParameters: Readonly<Record<string, MaybeSecret>>,
  http: OAuthHttp,
): Promise<{ readonly response: OAuthHttpResponse; readonly secrets: readonly Secret<string>[] }> {
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
  return { response, secrets: secretTextsIn(signer, protocolParameters, unsentSecrets) };
}

/** Parses a form-encoded response (RFC 5849 §2.1, §2.3). Throws `token_exchange_failed` with the provider's message. */
export function processCredentialsResponse(
  response: OAuthHttpResponse,
  secrets: readonly Secret<string>[],
): OAuth1TokenCredentials {
  const { status, body } = response;
  const raw = readBody(response, parseForm);
  const { oauth_token, oauth_token_secret } = raw;
  // A shared secret may be empty (RFC 5849 §3.4.2).
  if (isSuccess(status) && isToken(oauth_token) && oauth_token !== '' && isToken(oauth_token_secret))
    return {
      oauth_token: new Secret(oauth_token),
      oauth_token_secret: new Secret(oauth_token_secret),
      raw: new Secret(raw),
    };
  // A successful response that cannot be read may hold tokens, so it is never quoted.
  const received = responseSecrets(raw, ['oauth_token', 'oauth_token_secret']);
  const detail = isSuccess(status)
    ? 'a response without usable oauth_token and oauth_token_secret'
    : excerpt(body, [...secrets, ...received]);
  throw new OAuthResponseError(
    'token_exchange_failed',
    `The provider responded with status ${status}: ${detail || '(empty)'}`,
    { httpStatus: status },
  );
}

function parseForm(body: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body.trim()));
}

function isToken(value: string | undefined): value is string {
  return value !== undefined && /^[\x20-\x7e]*$/.test(value);
}

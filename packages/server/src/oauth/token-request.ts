import { withQuery } from '../formats/with-query.ts';
import { toSecretJson } from '../vault/sealed-json.ts';
import { mapTexts, secretTextsIn, type MaybeSecret, type Secret } from '../vault/secret.ts';
import {
  authenticationHeaders,
  type ClientAuthentication,
  type ClientAuthenticationMethod,
  type OAuthClient,
} from './client-authentication.ts';
import type { ClientCertificate, OAuthHttp } from './oauth-http.ts';
import { OAuthResponseError } from './oauth-error.ts';
import { renameParameters, type ParameterNames } from './parameter-names.ts';
import { processTokenResponse, type TokenResponse, type TokenResponseFormat } from './token-response.ts';

/** A token endpoint, and how its provider expects requests (RFC 6749 §3.2). */
export interface TokenEndpoint {
  readonly url: string;
  readonly client: OAuthClient;
  readonly authenticate: ClientAuthenticationMethod;
  /** `json` for providers that do not accept the form that the RFC prescribes. */
  readonly bodyFormat: 'form' | 'json';
  /** `GET` puts the parameters into the query, for the few providers that expect them there. */
  readonly method: 'POST' | 'GET' | 'PUT';
  /** Extra headers; names in lower case. */
  readonly headers: Readonly<Record<string, MaybeSecret>>;
  /** The provider's own names of parameters. */
  readonly names: ParameterNames;
  /** Presented if the provider authenticates clients, or binds tokens, by certificate (RFC 8705). */
  readonly clientCertificate?: Secret<ClientCertificate> | undefined;
  /** Secrets that are not sent, but that the provider may know. No message quotes them. */
  readonly unsentSecrets?: readonly (Secret<string> | undefined)[];
  /** How the response is read. */
  readonly response: TokenResponseFormat;
}

type Parameters = Readonly<Record<string, MaybeSecret>>;

/**
 * Sends a token request. The parameters of `grant` take precedence over the configured `params`. Throws {@link
 * OAuthResponseError} if the response is an error or unusable, and the errors of `http`.
 */
export async function tokenRequest(
  endpoint: TokenEndpoint,
  { grant, params }: { grant: Parameters; params: Parameters },
  http: OAuthHttp,
): Promise<TokenResponse> {
  const authentication = endpoint.authenticate(endpoint.client);
  const body = renameParameters({ ...params, ...grant, ...authentication.params }, endpoint.names);
  const response = await http({
    method: endpoint.method,
    ...placeParameters(endpoint, body),
    headers: {
      accept: 'application/json',
      ...contentType(endpoint),
      ...endpoint.headers,
      ...authenticationHeaders(authentication),
    },
    clientCertificate: endpoint.clientCertificate,
  });
  try {
    return processTokenResponse(response, endpoint.response, secretTextsIn(endpoint, authentication, body));
  } catch (error) {
    throw withHint(error, authentication);
  }
}

/** Adds the hint to `invalid_client`: the client is unknown, or its secret is wrong (RFC 6749 §5.2). */
function withHint(error: unknown, { hint }: ClientAuthentication): unknown {
  if (hint === undefined || !(error instanceof OAuthResponseError) || error.error !== 'invalid_client') return error;
  return new OAuthResponseError(error.code, `${error.message} ${hint}`, {
    error: error.error,
    httpStatus: error.httpStatus,
    cause: error,
  });
}

function placeParameters(
  { url, method, bodyFormat }: TokenEndpoint,
  params: Parameters,
): { url: MaybeSecret; body?: Secret<string> } {
  if (method === 'GET') return { url: mapTexts(params, (texts) => withQuery(url, texts)) };
  if (bodyFormat === 'json') return { url, body: toSecretJson(params) };
  return { url, body: mapTexts(params, (texts) => new URLSearchParams(texts).toString()) };
}

function contentType({ method, bodyFormat }: TokenEndpoint): Record<string, string> {
  if (method === 'GET') return {};
  return { 'content-type': bodyFormat === 'json' ? 'application/json' : 'application/x-www-form-urlencoded' };
}

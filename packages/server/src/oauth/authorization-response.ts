import { isAccessDenied } from './access-denied.ts';
import { excerpt, OAuthResponseError } from './oauth-error.ts';
import type { Secret } from '../vault/secret.ts';

/** Parameters of an authorization response. An empty one is undefined. Throws `invalid_state` for a repeated one. */
export interface ResponseParameters {
  /** Returns a parameter that is a credential, such as `code` and `state`. */
  secret(name: string): Secret<string> | undefined;
  /** Returns a parameter that is no credential, such as `error` and `iss`. */
  text(name: string): string | undefined;
}

/** The values that an authorization response must match. */
export interface AuthorizationResponseExpectation {
  /** The authorization server's issuer identifier; undefined if none is configured. */
  readonly issuer: string | undefined;
  /** Whether the server's metadata promises `iss` in every response (RFC 9207 §3). */
  readonly issuerRequired: boolean;
  readonly authorizationUrl: string;
  /** The parameter that carries the code; `code` except at a few providers. */
  readonly codeParameter: string;
  /** Values of `error` that mean the same as `access_denied`, in addition to the common ones. */
  readonly accessDeniedErrors?: readonly string[] | undefined;
  /** Secrets of this authorization. No message quotes them, the code or the state. */
  readonly secrets?: readonly Secret<string>[];
}

/**
 * Validates an authorization response whose `state` was already checked, and returns its `code` (RFC 6749 §4.1.2).
 *
 * If there is an `error`, a `code` is ignored. Throws `access_denied`, `provider_error` or `invalid_state`.
 */
export function parseAuthorizationResponse(
  response: ResponseParameters,
  expected: AuthorizationResponseExpectation,
): { code: Secret<string> } {
  const [code, state] = [expected.codeParameter, 'state'].map((name) => response.secret(name));
  const secrets = [...(expected.secrets ?? []), code ?? [], state ?? []].flat();
  assertIssuer(response.text('iss'), { ...expected, secrets });
  const error = response.text('error');
  if (error !== undefined)
    throw authorizationError(error, response.text('error_description'), { ...expected, secrets });
  if (code) return { code };
  throw new OAuthResponseError('provider_error', 'The authorization server sent neither a code nor an error.', {});
}

/**
 * RFC 9207 §2.4: a response from another authorization server is a mix-up attack. If no issuer is configured, an issuer
 * in the response must at least share the authorization endpoint's origin.
 */
function assertIssuer(
  iss: string | undefined,
  { issuer, issuerRequired, authorizationUrl, secrets }: AuthorizationResponseExpectation,
): void {
  if (iss === undefined && issuerRequired)
    throw new OAuthResponseError(
      'provider_error',
      'The response names no issuer (iss), although the authorization server’s metadata promises one.',
      { error: 'issuer_missing' },
    );
  if (iss === undefined) return;
  const matches = issuer === undefined ? URL.parse(iss)?.origin === new URL(authorizationUrl).origin : iss === issuer;
  if (matches) return;
  throw new OAuthResponseError(
    'provider_error',
    `The response names "${excerpt(iss, secrets)}" as its issuer, which is not the requested authorization server. ` +
      'If it is the right one, set auth.issuer to this value.',
    { error: 'issuer_mismatch' },
  );
}

function authorizationError(
  error: string,
  description: string | undefined,
  { accessDeniedErrors, secrets }: AuthorizationResponseExpectation,
): OAuthResponseError {
  const text = [error, description ?? []]
    .flat()
    .map((word) => excerpt(word, secrets))
    .join(': ');
  const denied = isAccessDenied(error, accessDeniedErrors);
  return new OAuthResponseError(
    denied ? 'access_denied' : 'provider_error',
    denied ? `Access was denied (${text}).` : text,
    { error: denied ? 'access_denied' : excerpt(error, secrets) },
  );
}

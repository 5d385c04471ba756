import { mapTexts, type MaybeSecret, type Secret } from '../vault/secret.ts';
import { renameParameters, type ParameterNames } from './parameter-names.ts';

/** An authorization request (RFC 6749 §4.1.1). */
export interface AuthorizationRequest {
  readonly authorizationUrl: string;
  /** `fragment` for the few servers whose authorization URL is a page of a single-page application. */
  readonly parametersIn: 'query' | 'fragment';
  readonly client_id: string;
  readonly redirect_uri: string;
  readonly state: Secret<string>;
  /** Joined by the separator; empty = the parameter is omitted. */
  readonly scope: string;
  /** From {@link codeChallengeParams}. */
  readonly codeChallenge: Readonly<Record<string, MaybeSecret>>;
  /**
   * Configured extras. They take precedence over `response_type` and `scope`, but not over parameters that bind the
   * flow.
   */
  readonly params: Record<string, string>;
  /** The provider's own names of parameters. */
  readonly names: ParameterNames;
}

/**
 * Returns the URL to which the user's browser is redirected. A query of the authorization URL is kept (RFC 6749 §3.1).
 * The URL is a secret because it holds the state, and with the code challenge method `plain` the code verifier.
 */
export function buildAuthorizationUrl(request: AuthorizationRequest): Secret<string> {
  const { client_id, redirect_uri, state, scope, codeChallenge, params, names } = request;
  const binding = renameParameters<MaybeSecret>({ client_id, redirect_uri, state, ...codeChallenge }, names);
  const ours = renameParameters({ response_type: 'code', ...(scope === '' ? {} : { scope }) }, names);
  return mapTexts({ ...ours, ...withoutBinding(params), ...binding }, (query) => placeParameters(request, query));
}

function placeParameters(request: AuthorizationRequest, query: Record<string, string>): string {
  const url = new URL(request.authorizationUrl);
  if (request.parametersIn === 'fragment') {
    const [path = '', fragmentQuery = ''] = url.hash.split('?');
    url.hash = `${path}?${withParameters(new URLSearchParams(fragmentQuery), query)}`;
  } else url.search = withParameters(url.searchParams, query);
  return url.href;
}

function withParameters(present: URLSearchParams, added: Record<string, string>): string {
  for (const [name, value] of Object.entries(added)) present.set(name, value);
  // Some providers do not read "+" as a space; all read "%20".
  return present.toString().replaceAll('+', '%20');
}

const BINDING = /^(state|redirect_uri|client_id|code_challenge.*)$/;

function withoutBinding(params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !BINDING.test(name)));
}

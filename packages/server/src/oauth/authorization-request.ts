import { renameParameters, type ParameterNames } from './parameter-names.ts';

/** An authorization request (RFC 6749 §4.1.1). */
export interface AuthorizationRequest {
  readonly authorizationUrl: string;
  /** `fragment` for the few servers whose authorization URL is a page of a single-page application. */
  readonly parametersIn: 'query' | 'fragment';
  readonly client_id: string;
  readonly redirect_uri: string;
  readonly state: string;
  /** Already joined; empty = the parameter is left out. */
  readonly scope: string;
  /** From {@link codeChallengeParams}. */
  readonly codeChallenge: Record<string, string>;
  /** Configured extras; they win over `response_type` and `scope`, never over what binds the flow. */
  readonly params: Record<string, string>;
  /** Where the provider names parameters differently. */
  readonly names: ParameterNames;
}

/** The URL the user's browser is sent to. A query already in the authorization URL is kept (RFC 6749 §3.1). */
export function buildAuthorizationUrl(request: AuthorizationRequest): string {
  const url = new URL(request.authorizationUrl);
  const { client_id, redirect_uri, state, scope, codeChallenge, params, names } = request;
  const binding = renameParameters({ client_id, redirect_uri, state, ...codeChallenge }, names);
  const ours = renameParameters({ response_type: 'code', ...(scope === '' ? {} : { scope }) }, names);
  const query = { ...ours, ...withoutBinding(params), ...binding };
  if (request.parametersIn === 'fragment') {
    const [path = '', own = ''] = url.hash.split('?');
    url.hash = `${path}?${withParameters(new URLSearchParams(own), query)}`;
  } else url.search = withParameters(url.searchParams, query);
  return url.href;
}

function withParameters(present: URLSearchParams, added: Record<string, string>): string {
  for (const [name, value] of Object.entries(added)) present.set(name, value);
  // Providers in the field disagree about "+" as a space; "%20" is understood by all.
  return present.toString().replaceAll('+', '%20');
}

const BINDING = /^(state|redirect_uri|client_id|code_challenge.*)$/;

function withoutBinding(params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !BINDING.test(name)));
}

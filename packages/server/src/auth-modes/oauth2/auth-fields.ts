import { z } from 'zod';
import { JWT_BEARER } from '../../oauth/grants/jwt-bearer-grant.ts';
import { CONNECTION_SCOPE, type Fields } from '../../schema/fields.ts';
import { credentialFieldsSchema } from '../../schema/input-fields.ts';
import type { AuthEndpoint, ClientSetting } from '../auth-mode.ts';
import { AUTH_VALUES, placeholdersOf, secretsOfPlaceholders, withPlaceholders } from '../auth-values.ts';
import { stepsSchema } from '../connect-step-fields.ts';
import { configuredRequestSchema, endpointsOf, endpointsOfSteps } from '../configured-request.ts';
import { jwtShape } from '../prompted/jwt-fields.ts';
import { configFromTokenResponseSchema } from '../config-from-provider.ts';
import { identitySchema } from '../identity.ts';
import { scopeImpliesSchema } from '../scopes.ts';
import { accessDeniedErrors, parameterNames, tokenShape } from '../token-fields.ts';

/**
 * Placeholders of refresh and revocation requests, in addition to those of `auth`. The last one is client id and secret
 * for Basic (RFC 7617 §2).
 */
const REFRESH_PLACEHOLDERS = ['access_token', 'refresh_token', 'oauth_client_basic_encoded'];

// Headers of token requests may name the client a second time.
const CLIENT_SCOPE = { names: AUTH_VALUES.names, prefixes: CONNECTION_SCOPE.prefixes };
// A few providers name the client in the path of the authorization endpoint.
const AUTHORIZATION_URL_SCOPE = { names: ['oauth_client_id'], prefixes: CONNECTION_SCOPE.prefixes };

/** The values that `token_params.grant_type` may have. The first is the default. */
export const GRANT_TYPES = ['authorization_code', 'client_credentials', 'password', JWT_BEARER] as const;

/** A value of `token_params.grant_type`. */
export type GrantType = (typeof GRANT_TYPES)[number];

/** The keys of `auth` under OAUTH2; `docs/reference/configuration.md` describes each. */
export function oauth2Shape(fields: Fields) {
  return {
    ...serverShape(fields),
    ...authorizationShape(fields),
    ...tokenRequestShape(fields),
    ...clientShape(fields),
    ...tokenShape(fields, ['scope']),
    steps: stepsSchema(fields, ['access_token']),
    credentials: credentialFieldsSchema.optional().describe('Fields to prompt for, if a grant needs them'),
    assertion: z
      .strictObject(jwtShape(fields, ['scope', 'token_url']))
      .transform(withPlaceholders)
      .optional()
      .describe('The JWT of the jwt-bearer grant (RFC 7523 §2.1)'),
    keep_password: fields
      .boolean()
      .default(false)
      .describe('password grant: keeps name and password, sealed, where the provider gives no refresh token'),
  };
}

/** The parsed `auth` section of OAUTH2. */
export type OAuth2Auth = z.output<z.ZodObject<ReturnType<typeof oauth2Shape>>> & { readonly auth_mode: 'OAUTH2' };

/** The authorization server: its endpoints, or what they are discovered from. */
function serverShape(fields: Fields) {
  return {
    authorization_url: fields
      .url(AUTHORIZATION_URL_SCOPE)
      .optional()
      .describe('Authorization endpoint, where the user is sent'),
    token_url: fields.url(CONNECTION_SCOPE).optional().describe('Token endpoint'),
    refresh_url: fields.url(CONNECTION_SCOPE).optional().describe('Token endpoint for refreshing; default token_url'),
    revocation_url: fields.url(CONNECTION_SCOPE).optional().describe('Token revocation endpoint (RFC 7009)'),
    revocation_request: configuredRequestSchema(fields, REFRESH_PLACEHOLDERS)
      .optional()
      .describe('Takes the place of the revocation request, for providers that revoke by one of their own'),
    device_authorization_url: fields
      .url(CONNECTION_SCOPE)
      .optional()
      .describe('Device authorization endpoint (RFC 8628)'),
    issuer: fields
      .url(CONNECTION_SCOPE)
      .optional()
      .describe(
        'Issuer identifier, compared with iss in the response (RFC 9207); ' +
          'without token_url its metadata names the endpoints (RFC 8414)',
      ),
    resource: fields
      .url(CONNECTION_SCOPE)
      .optional()
      .describe(
        'Resource indicator (RFC 8707); ' +
          'without token_url and issuer its metadata names the authorization server (RFC 9728)',
      ),
  };
}

/** The authorization request and its response. */
function authorizationShape(fields: Fields) {
  return {
    authorization_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the authorization request'),
    authorization_parameters_in: fields
      .choice(['query', 'fragment'])
      .optional()
      .describe('Where parameters go when authorization_url has a fragment, which RFC 6749 §3.1 forbids'),
    scope_separator: z.string().max(8).default(' ').describe('Joins oauth_scopes'),
    default_scopes: z.array(fields.text()).optional().describe('Used where the Integration names no oauth_scopes'),
    scope_implies: scopeImpliesSchema(),
    incremental_scopes: fields
      .boolean()
      .default(false)
      .describe('true: a new authorization keeps the scopes of earlier ones, so only new scopes are asked for'),
    redirect_uri: fields
      .template(CONNECTION_SCOPE)
      .optional()
      .describe('Sent as redirect_uri in place of the callback URL, where the provider gives that a name of its own'),
    code_challenge_method: fields.choice(['S256', 'plain', 'none']).default('S256').describe('PKCE (RFC 7636)'),
    authorization_parameter_names: parameterNames(['client_id', 'redirect_uri', 'response_type', 'scope']).describe(
      'The provider’s names for parameters of the authorization request; an empty name leaves one out',
    ),
    callback_parameter_names: parameterNames(['code']).describe('The provider’s names for parameters of the callback'),
    access_denied_errors: accessDeniedErrors(),
    config_from_callback: z
      .record(z.string().min(1), z.string().min(1))
      .default({})
      .describe('Parameters of the callback that are stored as config.*, by their name there'),
  };
}

/** Token requests and their responses. */
function tokenRequestShape(fields: Fields) {
  return {
    token_params: fields
      .params(CONNECTION_SCOPE)
      .default({})
      .describe('Added to the token request; grant_type selects the grant'),
    refresh_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the refresh request'),
    refresh_with_redirect_uri: fields
      .boolean()
      .default(false)
      .describe('Sends redirect_uri with the refresh request too, as it was when the user connected'),
    body_format: fields.choice(['form', 'json']).default('form').describe('Encoding of token requests'),
    token_http_method: fields.choice(['POST', 'GET', 'PUT']).default('POST').describe('HTTP method of token requests'),
    token_headers: fields.headers(CLIENT_SCOPE).default({}).describe('Extra headers of token requests'),
    token_parameter_names: parameterNames([
      'client_id',
      'client_secret',
      'code',
      'code_verifier',
      'grant_type',
      'redirect_uri',
      'refresh_token',
      'scope',
    ]).describe('The provider’s names for parameters of token requests; an empty name leaves one out'),
    token_types: z
      .array(z.string().toLowerCase())
      .min(1)
      .default(['bearer'])
      .describe('token_type values that are accepted'),
    refresh_token_idle_seconds: fields
      .number({ min: 60, max: 10 * 365 * 86_400 })
      .optional()
      .describe('Life of a refresh token that is not used; it is used before'),
    config_from_token_response: configFromTokenResponseSchema(),
    identity: identitySchema(),
    refresh_request: configuredRequestSchema(fields, REFRESH_PLACEHOLDERS)
      .transform((request) => ({ ...request, presentsRefreshToken: request.placeholders.includes('refresh_token') }))
      .optional()
      .describe('Takes the place of the refresh request (RFC 6749 §6), for providers that refresh by one of their own'),
  };
}

/** How the client authenticates. */
function clientShape(fields: Fields) {
  return {
    authorization_method: fields
      .choice(['header', 'body', 'none', 'private_key_jwt', 'client_secret_jwt', 'tls_client_auth'])
      .optional()
      .describe(
        'Client authentication: header (default) = client_secret_basic, body = client_secret_post, ' +
          'none = public client; private_key_jwt takes the PEM key in oauth_client_secret, ' +
          'tls_client_auth the client_certificate',
      ),
    refresh_authorization_method: fields
      .choice(['header', 'body'])
      .optional()
      .describe('Client authentication of refresh requests, where it differs'),
    basic_encoding: fields
      .choice(['form', 'plain'])
      .default('form')
      .describe(
        'form encodes id and secret before Basic as RFC 6749 §2.3.1 demands; ' +
          'plain is for providers that do not decode',
      ),
    client_assertion_algorithm: fields
      .choice(['RS256', 'ES256', 'PS256', 'EdDSA'])
      .default('RS256')
      .describe('Of private_key_jwt'),
    client_assertion_key_id: fields.text().optional().describe('kid header of private_key_jwt'),
    client_assertion_audience: fields
      .text()
      .optional()
      .describe('aud of client assertions; default: issuer, else token_url'),
    client_metadata: fields
      .params(CONNECTION_SCOPE)
      .optional()
      .describe('Registers a client dynamically if there is no oauth_client_id (RFC 7591 §2)'),
  };
}

/** Returns `token_params.grant_type`; undefined if it is not implemented. */
export function grantTypeOf(auth: OAuth2Auth): GrantType | undefined {
  const named = auth.token_params['grant_type']?.parts[0] ?? GRANT_TYPES[0];
  return GRANT_TYPES.find((grantType) => grantType === named);
}

/** Whether the endpoints are discovered. */
export function isDiscovered(auth: OAuth2Auth): boolean {
  return auth.token_url === undefined && (auth.issuer !== undefined || auth.resource !== undefined);
}

/** Returns faults that concern several keys together. */
export function checkOAuth2Auth(auth: OAuth2Auth): { key: string; message: string }[] {
  const grantType = grantTypeOf(auth);
  const required = (key: 'authorization_url' | 'token_url'): { key: string; message: string }[] =>
    auth[key] || isDiscovered(auth)
      ? []
      : [{ key, message: 'is required (or issuer, where the provider publishes its metadata)' }];
  const faults = required('token_url');
  if (!grantType)
    faults.push({ key: 'token_params', message: `has a grant_type other than ${GRANT_TYPES.join(', ')}` });
  if (grantType === 'authorization_code' && !auth.device_authorization_url)
    faults.push(...required('authorization_url'));
  if (grantType === JWT_BEARER && !auth.assertion)
    faults.push({ key: 'assertion', message: 'is required with the jwt-bearer grant' });
  const fragment = auth.authorization_url?.parts.some((part) => typeof part === 'string' && part.includes('#'));
  if (fragment && !auth.authorization_parameters_in)
    faults.push({
      key: 'authorization_url',
      message: 'has a fragment (RFC 6749 §3.1 forbids it): set authorization_parameters_in to where its parameters go',
    });
  return faults;
}

/**
 * Returns the settings that must be present. A client that was registered by hand has an id; a confidential client also
 * has a secret (RFC 6749 §2.1).
 */
export function requiredOAuth2Settings(auth: OAuth2Auth): ClientSetting[] {
  const { authorization_method: method } = auth;
  const grantType = grantTypeOf(auth);
  const certificate: ClientSetting[] = method === 'tls_client_auth' ? ['client_certificate'] : [];
  const scopes: ClientSetting[] = auth.resource ? [] : ['oauth_scopes'];
  if (grantType === JWT_BEARER || auth.client_metadata) return [...scopes, ...certificate];
  const secret: ClientSetting[] = method === 'none' || method === 'tls_client_auth' ? [] : ['oauth_client_secret'];
  return ['oauth_client_id', ...secret, ...scopes, ...certificate];
}

// The metadata of issuer and resource names endpoints to which the client authenticates.
const FIRST_URLS = ['token_url', 'device_authorization_url', 'issuer', 'resource'] as const;
const LATER_URLS = ['refresh_url', 'revocation_url'] as const;

/** Returns the endpoints of OAUTH2. */
export function oauth2Endpoints(auth: OAuth2Auth): AuthEndpoint[] {
  const { token_headers, assertion, refresh_request, revocation_request, steps } = auth;
  const sent = [...placeholdersOf(Object.values(token_headers)), ...(assertion?.placeholders ?? [])];
  const receives = [...new Set([...secretsOfPlaceholders(sent), 'oauth_client_secret' as const])];
  const endpoints = (keys: readonly UrlKey[], what: Omit<AuthEndpoint, 'key' | 'url'>) =>
    keys.flatMap((key) => (auth[key] ? [{ key: [key], url: auth[key], ...what }] : []));
  return [
    ...endpoints(FIRST_URLS, { receives, isFirst: true }),
    ...endpoints(LATER_URLS, { receives, isFirst: false }),
    ...endpoints(['authorization_url'], { receives: [], isFirst: false }),
    ...endpoints(['redirect_uri'], { receives: [], isFirst: false, isCallback: true }),
    ...endpointsOf({ refresh_request, revocation_request }),
    ...endpointsOfSteps(steps),
  ];
}

type UrlKey = (typeof FIRST_URLS | typeof LATER_URLS)[number] | 'authorization_url' | 'redirect_uri';

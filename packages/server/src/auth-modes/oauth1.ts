import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import { isAccessDenied } from '../oauth/access-denied.ts';
import type { ResponseParameters } from '../oauth/authorization-response.ts';
import { withQuery } from '../formats/with-query.ts';
import { excerpt } from '../oauth/oauth-error.ts';
import { bodyHashParameter } from '../oauth/oauth1/body-hash.ts';
import { oauth1AuthorizationHeader, type Freshness, type OAuth1Signer } from '../oauth/oauth1/authorization-header.ts';
import { temporaryCredentialsRequest, tokenCredentialsRequest } from '../oauth/oauth1/credentials-request.ts';
import { CONNECTION_SCOPE, type Fields } from '../schema/fields.ts';
import { renderParams, renderUrl } from '../schema/render.ts';
import type { AuthMode, AuthModeContext, BaseCredentials, Integration, SignableRequest, Signing } from './auth-mode.ts';
import { storeStepsSchema } from './connect-step-fields.ts';
import { storedBySteps, takeSteps } from './connect-steps.ts';
import { credentialSecret, credentialText, keepRaw, storedRaw, storedSecret } from './credential-schema.ts';
import { accessDeniedErrors } from './token-fields.ts';
import { configFromProvider, configFromTokenResponseSchema } from './config-from-provider.ts';
import { completeIdentity, identityFrom, identitySchema } from './identity.ts';
import { mapTexts, Secret, secretTextsIn } from '../vault/secret.ts';
import { endpointsOfSteps } from './configured-request.ts';

const NO_SECRET = new Secret('');
// Some providers send this word in place of a verifier.
const DENIED = new Secret('denied');

interface OAuth1Credentials extends BaseCredentials {
  readonly oauth_token: Secret<string>;
  readonly oauth_token_secret: Secret<string>;
}

/** The keys of `auth` under OAUTH1; `docs/reference/configuration.md` describes each. */
function oauth1Shape(fields: Fields) {
  const method = () => fields.choice(['POST', 'GET', 'PUT']).default('POST');
  return {
    request_url: fields.url(CONNECTION_SCOPE).describe('Temporary credential request endpoint (RFC 5849 §2.1)'),
    request_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the temporary credential request'),
    request_http_method: method().describe('HTTP method of the temporary credential request'),
    authorization_url: fields.url(CONNECTION_SCOPE).describe('Resource owner authorization endpoint (RFC 5849 §2.2)'),
    authorization_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the authorization URL'),
    scope_separator: z.string().max(8).default(' ').describe('Joins oauth_scopes'),
    default_scopes: z.array(fields.text()).optional().describe('Used where the Integration names no oauth_scopes'),
    token_url: fields.url(CONNECTION_SCOPE).describe('Token request endpoint (RFC 5849 §2.3)'),
    token_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the token request'),
    token_http_method: method().describe('HTTP method of the token request'),
    signature_method: fields
      .choice(['HMAC-SHA1', 'HMAC-SHA256', 'RSA-SHA1', 'RSA-SHA256', 'PLAINTEXT'])
      .describe('RFC 5849 §3.4; RSA methods take the PEM private key in oauth_client_secret'),
    config_from_token_response: configFromTokenResponseSchema(),
    identity: identitySchema(),
    steps: storeStepsSchema(fields, []),
    access_denied_errors: accessDeniedErrors(),
    callback_confirmation: fields
      .choice(['exact', 'any', 'optional'])
      .default('exact')
      .describe(
        'How the temporary credentials confirm the callback. exact: oauth_callback_confirmed is "true" ' +
          '(RFC 5849 §2.1). any: its value is neither false nor 0. optional: it may be absent, as before OAuth 1.0a',
      ),
    body_hash: fields
      .boolean()
      .default(false)
      .describe('Signs bodies that are no forms too, as oauth_body_hash (OAuth Request Body Hash 1.0 draft 4)'),
  };
}

type OAuth1Auth = z.output<z.ZodObject<ReturnType<typeof oauth1Shape>>> & { readonly auth_mode: 'OAUTH1' };

/** `OAUTH1`: OAuth 1.0a (RFC 5849), three-legged, with every API request signed. */
export const oauth1: AuthMode<OAuth1Auth, OAuth1Credentials> = {
  name: 'OAUTH1',
  requiredSettings: () => ['oauth_client_id', 'oauth_client_secret', 'oauth_scopes'],
  defaultScopes: ({ default_scopes }) => default_scopes,
  authShape: oauth1Shape,
  endpoints: ({ request_url, authorization_url, token_url, steps }) => [
    { key: ['request_url'], url: request_url, receives: ['oauth_client_secret'], isFirst: true },
    { key: ['authorization_url'], url: authorization_url, receives: [], isFirst: false },
    { key: ['token_url'], url: token_url, receives: ['oauth_client_secret'], isFirst: true },
    // Every step is signed with the client's secret.
    ...endpointsOfSteps(steps).map((step) => ({
      ...step,
      receives: ['oauth_client_secret' as const, ...step.receives],
    })),
  ],
  signsWith: () => ['oauth_client_secret'],
  credentialsInput: z
    .looseObject({ oauth_token: credentialSecret, oauth_token_secret: credentialText.or(z.literal('')) })
    .transform((values) => ({
      oauth_token: values.oauth_token,
      oauth_token_secret: new Secret(values.oauth_token_secret),
      raw: keepRaw(values),
    })),
  storedCredentials: z.object({ oauth_token: storedSecret, oauth_token_secret: storedSecret, raw: storedRaw }),
  times: [],
  placeholders: {
    oauth_token: (credentials) => credentials.oauth_token,
    oauth_token_secret: (credentials) => credentials.oauth_token_secret,
    oauth_client_id: (_, integration) => integration.oauthClientId ?? '',
    oauth_client_secret: (_, integration) => integration.oauthClientSecret ?? '',
  },
  sign: signedHeaders,
  authorization: {
    applies: () => true,
    suppliedConfig: ({ auth }) => [...Object.keys(auth.config_from_token_response), ...storedBySteps(auth)],
    configFromBrowser: () => [],
    usesFormPost: () => false,
    async begin({ integration, config, state, redirectUri }, context) {
      const { auth } = integration;
      const { request_url, request_http_method, request_params } = auth;
      const endpoint = {
        url: renderUrl(request_url, config),
        method: request_http_method,
        params: renderParams(request_params, config),
      };
      const request = {
        endpoint,
        signer: signerOf(integration),
        freshness: freshness(context),
        // The state identifies the attempt of the authorization response.
        oauth_callback: mapTexts({ state }, (texts) => withQuery(redirectUri, texts)),
        unsentSecrets: [state],
        confirmation: auth.callback_confirmation,
      };
      const { oauth_token, oauth_token_secret } = await temporaryCredentialsRequest(request, context.http);
      const scope = integration.oauthScopes.join(auth.scope_separator);
      const params = {
        ...(scope === '' ? {} : { scope }),
        ...renderParams(auth.authorization_params, config),
        oauth_token,
      };
      const url = renderUrl(auth.authorization_url, config);
      const authorizationUrl = mapTexts(params, (texts) => withQuery(url, texts));
      return { authorizationUrl, secrets: { oauth_token, oauth_token_secret } };
    },
    async complete({ integration, config, callback, secrets }, context) {
      const { token_url, token_http_method, token_params } = integration.auth;
      const token = {
        oauth_token: secrets['oauth_token'] ?? NO_SECRET,
        oauth_token_secret: secrets['oauth_token_secret'] ?? NO_SECRET,
      };
      const { access_denied_errors } = integration.auth;
      const oauth_verifier = parseOAuth1Response(callback, { token, access_denied_errors });
      const endpoint = {
        url: renderUrl(token_url, config),
        method: token_http_method,
        params: renderParams(token_params, config),
      };
      const signer = { ...signerOf(integration), token };
      const request = { endpoint, signer, freshness: freshness(context), oauth_verifier, access_denied_errors };
      const credentials = await tokenCredentialsRequest(request, context.http);
      const raw = credentials.raw.reveal();
      const identity = identityFrom(raw, integration.auth.identity);
      const begun = { credentials, config: configFromProvider(integration, { tokenResponse: raw }), identity };
      const mode = {
        named: () => ({}),
        signerOf: (stepCredentials: OAuth1Credentials) => (unsigned: SignableRequest) =>
          signedHeaders(unsigned, { credentials: stepCredentials, integration, context }),
      };
      const taken = await takeSteps<OAuth1Credentials>({ integration, config }, begun, { mode, context });
      return { ...taken, identity: completeIdentity(taken.identity), requestedScopes: integration.oauthScopes };
    },
  },
};

function signedHeaders(
  { method, url, headers, body }: SignableRequest,
  { credentials, integration, context }: Omit<Signing<OAuth1Auth, OAuth1Credentials>, 'config'>,
): Record<string, string> {
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers['content-type'] ?? '');
  const formParameters = isForm ? formPairs(body === undefined ? '' : Buffer.from(body).toString()) : [];
  const signer = { ...signerOf(integration), token: credentials };
  const { body_hash, signature_method } = integration.auth;
  const protocolParameters = body_hash && !isForm ? bodyHashParameter(body ?? '', signature_method) : {};
  const request = { method, url, formParameters, protocolParameters };
  return { authorization: oauth1AuthorizationHeader(request, signer, freshness(context)).reveal() };
}

/**
 * Returns the pairs of a form body. URLSearchParams would drop a "?" at the beginning, which is part of the first name.
 */
function formPairs(body: string): [string, string][] {
  return [...new URLSearchParams(`&${body}`)];
}

/** Returns the verifier of an authorization response (RFC 5849 §2.2). Throws `access_denied` and `provider_error`. */
function parseOAuth1Response(
  callback: ResponseParameters,
  { token, access_denied_errors }: Pick<OAuth1Auth, 'access_denied_errors'> & Required<Pick<OAuth1Signer, 'token'>>,
): Secret<string> {
  // Not in the RFC, but some providers report in this way that the user refused.
  const verifier = callback.secret('oauth_verifier');
  if (callback.secret('denied') !== undefined || DENIED.equals(verifier))
    throw new NangoError('access_denied', 'Access was denied.');
  const problem = callback.text('oauth_problem') ?? callback.text('error');
  if (problem !== undefined) {
    const detail = excerpt(problem, secretTextsIn(token, [verifier, callback.secret('state')]));
    const isDenied = isAccessDenied(problem, access_denied_errors);
    if (isDenied) throw new NangoError('access_denied', `Access was denied (${detail}).`);
    throw new NangoError('provider_error', `The provider rejected the authorization: ${detail}.`);
  }
  if (!token.oauth_token.equals(callback.secret('oauth_token'))) {
    throw new NangoError(
      'provider_error',
      'The response carries an oauth_token other than the one of this authorization.',
    );
  }
  if (verifier) return verifier;
  throw new NangoError('provider_error', 'The response carries no oauth_verifier.');
}

function signerOf({ auth, oauthClientId, oauthClientSecret }: Integration<OAuth1Auth>): OAuth1Signer {
  return {
    clientId: oauthClientId ?? '',
    clientSecret: oauthClientSecret ?? NO_SECRET,
    signatureMethod: auth.signature_method,
  };
}

function freshness({ now, randomToken }: Pick<AuthModeContext, 'now' | 'randomToken'>): Freshness {
  return { timestamp: Math.floor(now() / 1000), nonce: randomToken() };
}

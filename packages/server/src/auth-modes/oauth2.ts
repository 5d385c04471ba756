import { z } from 'zod';
import { authorizationCodeGrant } from '../oauth/authorization-code-grant.ts';
import { buildAuthorizationUrl } from '../oauth/authorization-request.ts';
import { parseAuthorizationResponse } from '../oauth/authorization-response.ts';
import {
  clientSecretBasic,
  clientSecretBasicUnencoded,
  clientSecretPost,
  noClientSecret,
  type ClientAuthenticationMethod,
} from '../oauth/client-authentication.ts';
import { clientAssertion } from '../oauth/client-assertion.ts';
import { clientCredentialsGrant } from '../oauth/client-credentials-grant.ts';
import { codeChallengeParams } from '../oauth/pkce.ts';
import { refreshTokenGrant } from '../oauth/refresh-token-grant.ts';
import type { TokenEndpoint } from '../oauth/token-request.ts';
import type { TokenResponse } from '../oauth/token-response.ts';
import { revocationRequest } from '../oauth/token-revocation.ts';
import { CONNECTION_SCOPE, type Fields } from '../schema/fields.ts';
import { renderParams, renderUrl } from '../schema/render.ts';
import type { AdditionalConfig, AuthMode, AuthModeContext, BaseCredentials, Integration } from './auth-mode.ts';
import { credentialText, keepRaw, rawObject, timeInput } from './credential-schema.ts';

const MAX_REFRESH_MARGIN_SECONDS = 86_400;

interface OAuth2Credentials extends BaseCredentials {
  readonly access_token: string;
  readonly refresh_token?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expires_at?: number | undefined;
  /** Milliseconds since the epoch at which the token was received; with expires_at it gives the token's life. */
  readonly received_at?: number | undefined;
}

/** Another name, or dotted path, for each of some members. */
function parameterNames(members: readonly string[]) {
  const name = z
    .string()
    .max(200)
    .regex(/^[\w.-]*$/, 'must be a name');
  const shape = Object.fromEntries(members.map((member) => [member, name.optional()]));
  return z.strictObject(shape).default({});
}

/** The keys of `auth` under OAUTH2; `docs/reference/integrations.md` describes each. */
function oauth2Shape(fields: Fields) {
  return {
    authorization_url: fields
      .url(CONNECTION_SCOPE)
      .optional()
      .describe('Authorization endpoint, where the user is sent'),
    authorization_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the authorization request'),
    scope_separator: z.string().max(8).default(' ').describe('Joins oauth_scopes'),
    default_scopes: z.array(fields.text()).optional().describe('Used where the Integration names no oauth_scopes'),
    token_url: fields.url(CONNECTION_SCOPE).describe('Token endpoint'),
    token_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the token request'),
    authorization_method: fields
      .choice(['header', 'body', 'none', 'private_key_jwt', 'client_secret_jwt'])
      .default('header')
      .describe(
        'Client authentication: header = client_secret_basic, body = client_secret_post, none = public client; private_key_jwt takes the PEM key in oauth_client_secret',
      ),
    client_assertion_algorithm: fields.choice(['RS256', 'ES256']).default('RS256').describe('Of private_key_jwt'),
    client_assertion_key_id: fields.text().optional().describe('kid header of private_key_jwt'),
    client_assertion_audience: fields
      .text()
      .optional()
      .describe('aud of client assertions; default: issuer, else token_url'),
    basic_encoding: fields
      .choice(['form', 'plain'])
      .default('form')
      .describe(
        'form encodes id and secret before Basic as RFC 6749 §2.3.1 demands; plain is for providers that do not decode',
      ),
    body_format: fields.choice(['form', 'json']).default('form').describe('Encoding of token requests'),
    refresh_url: fields.url(CONNECTION_SCOPE).optional().describe('Token endpoint for refreshing; default token_url'),
    refresh_params: fields.params(CONNECTION_SCOPE).default({}).describe('Added to the refresh request'),
    refresh_margin_seconds: fields
      .number({ min: 0, max: MAX_REFRESH_MARGIN_SECONDS })
      .default(60)
      .describe('Access tokens are refreshed this long before they expire, but never in the first half of their life'),
    code_challenge_method: fields.choice(['S256', 'plain', 'none']).default('S256').describe('PKCE (RFC 7636)'),
    revocation_url: fields.url(CONNECTION_SCOPE).optional().describe('Token revocation endpoint (RFC 7009)'),
    issuer: fields.text().optional().describe('Issuer identifier, compared with iss in the response (RFC 9207)'),
    token_http_method: fields.choice(['POST', 'GET', 'PUT']).default('POST').describe('HTTP method of token requests'),
    token_headers: z
      .record(
        z
          .string()
          .toLowerCase()
          .regex(/^[\w-]+$/, 'is not a valid header name'),
        fields.template(CONNECTION_SCOPE),
      )
      .default({})
      .describe('Extra headers of token requests'),
    authorization_parameter_names: parameterNames(['client_id', 'redirect_uri', 'response_type', 'scope']).describe(
      'The provider’s names for parameters of the authorization request; an empty name leaves one out',
    ),
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
    callback_parameter_names: parameterNames(['code']).describe('The provider’s names for parameters of the callback'),
    token_response_paths: parameterNames(['access_token', 'refresh_token', 'expires_in', 'expires_at']).describe(
      'Dotted paths of members of the token answer that stand elsewhere; expires_at is a time in place of a duration',
    ),
    expires_in_unit: fields.choice(['seconds', 'milliseconds']).default('seconds').describe('Unit of expires_in'),
    token_types: z
      .array(z.string().toLowerCase())
      .min(1)
      .default(['bearer'])
      .describe('token_type values that are accepted'),
  };
}

type OAuth2Auth = z.output<z.ZodObject<ReturnType<typeof oauth2Shape>>> & { readonly auth_mode: 'OAUTH2' };

/** `OAUTH2`: authorization code with PKCE, client credentials, and refresh (RFC 6749, RFC 7636). */
export const oauth2: AuthMode<OAuth2Auth, OAuth2Credentials> = {
  name: 'OAUTH2',
  usesOAuthClient: true,
  authShape: oauth2Shape,
  checkAuth: (auth) =>
    auth.authorization_url || grantsToClient(auth) ? [] : [{ key: 'authorization_url', message: 'is required' }],
  isPublicClient: (auth) => auth.authorization_method === 'none',
  credentialsInput: z
    .looseObject({
      access_token: credentialText,
      refresh_token: credentialText.nullish(),
      expires_at: timeInput.nullish(),
    })
    .transform(({ access_token, refresh_token, expires_at, ...rest }) => ({
      access_token,
      refresh_token: refresh_token ?? undefined,
      expires_at: expires_at ?? undefined,
      raw: keepRaw({ access_token, refresh_token, expires_at, ...rest }),
    })),
  storedCredentials: z.object({
    access_token: z.string(),
    refresh_token: z.string().optional(),
    expires_at: z.number().optional(),
    received_at: z.number().optional(),
    raw: rawObject,
  }),
  placeholders: {
    access_token: (credentials) => credentials.access_token,
    oauth_client_id: (_, integration) => integration.oauthClientId ?? '',
    oauth_client_secret: (_, integration) => integration.oauthClientSecret?.reveal() ?? '',
  },
  authorization: {
    usesFormPost: ({ auth }) => auth.authorization_params['response_mode']?.parts[0] === 'form_post',
    async begin({ integration, config, state, redirectUri }, context) {
      const { auth } = integration;
      const codeVerifier = context.randomToken();
      const authorizationUrl = buildAuthorizationUrl({
        authorizationUrl: authorizationEndpoint(integration, config),
        client_id: integration.oauthClientId ?? '',
        redirect_uri: redirectUri,
        state,
        scope: scopeOf(integration),
        codeChallenge: codeChallengeParams(codeVerifier, auth.code_challenge_method),
        params: renderParams(auth.authorization_params, config),
        names: auth.authorization_parameter_names,
      });
      return { authorizationUrl, secrets: { code_verifier: codeVerifier } };
    },
    async complete({ integration, config, callback, secrets, redirectUri }, context) {
      const { auth } = integration;
      const authorizationUrl = authorizationEndpoint(integration, config);
      const { code } = parseAuthorizationResponse(callback, {
        issuer: auth.issuer,
        authorizationUrl,
        codeParameter: auth.callback_parameter_names['code'] ?? 'code',
      });
      const grant = {
        code,
        redirect_uri: redirectUri,
        code_verifier: auth.code_challenge_method === 'none' ? undefined : secrets['code_verifier'],
        params: renderParams(auth.token_params, config),
      };
      return received(
        await authorizationCodeGrant(tokenEndpoint({ integration, config }, context), grant, context.http),
        context,
      );
    },
  },
  issuance: {
    applies: ({ auth }) => grantsToClient(auth),
    issue: ({ integration, config }, context) => issueToClient(integration, config, context),
  },
  revocation: {
    applies: ({ auth }) => auth.revocation_url !== undefined,
    revoke({ integration, config, credentials: { access_token, refresh_token } }, context) {
      const endpoint = tokenEndpoint({ integration, config }, context, integration.auth.revocation_url);
      const revocation =
        refresh_token === undefined
          ? ({ token: access_token, token_type_hint: 'access_token' } as const)
          : ({ token: refresh_token, token_type_hint: 'refresh_token' } as const);
      return revocationRequest(endpoint, revocation, context.http);
    },
  },
  renewal: {
    expiresAt: ({ expires_at }) => expires_at,
    dueAt: (credentials, { auth }) => {
      const { expires_at, received_at, refresh_token } = credentials;
      if (expires_at === undefined || (refresh_token === undefined && !grantsToClient(auth))) return undefined;
      const margin = auth.refresh_margin_seconds * 1000;
      // Without the half-life bound a token that lives shorter than the margin would be refreshed by every request.
      return expires_at - (received_at === undefined ? margin : Math.min(margin, (expires_at - received_at) / 2));
    },
    async renew({ integration, config, credentials }, context) {
      if (grantsToClient(integration.auth)) return issueToClient(integration, config, context);
      const { refresh_url, token_url, refresh_params } = integration.auth;
      const grant = { refresh_token: credentials.refresh_token ?? '', params: renderParams(refresh_params, config) };
      const endpoint = tokenEndpoint({ integration, config }, context, refresh_url ?? token_url);
      return received(await refreshTokenGrant(endpoint, grant, context.http), context);
    },
  },
};

/** `token_params.grant_type: client_credentials` selects the grant without a user. */
function grantsToClient(auth: OAuth2Auth): boolean {
  return auth.token_params['grant_type']?.parts[0] === 'client_credentials';
}

async function issueToClient(integration: Integration<OAuth2Auth>, config: AdditionalConfig, context: AuthModeContext) {
  const params = renderParams(integration.auth.token_params, config);
  const response = await clientCredentialsGrant(
    tokenEndpoint({ integration, config }, context),
    { scope: scopeOf(integration), params },
    context.http,
  );
  return received(response, context);
}

function received(response: TokenResponse, { now }: AuthModeContext): OAuth2Credentials {
  const { access_token, refresh_token, expires_in, raw } = response;
  const received_at = now();
  const fromLifetime = expires_in === undefined ? undefined : received_at + Math.floor(expires_in * 1000);
  const expires_at = response.expires_at ?? fromLifetime;
  return { access_token, refresh_token, expires_at, received_at, raw };
}

function scopeOf({ auth, oauthScopes }: Integration<OAuth2Auth>): string {
  return oauthScopes.join(auth.scope_separator);
}

function authorizationEndpoint({ auth }: Integration<OAuth2Auth>, config: AdditionalConfig): string {
  return renderUrl(auth.authorization_url, config);
}

interface EndpointOwner {
  readonly integration: Integration<OAuth2Auth>;
  readonly config: AdditionalConfig;
}

function tokenEndpoint(
  { integration, config }: EndpointOwner,
  context: AuthModeContext,
  url = integration.auth.token_url,
): TokenEndpoint {
  const { auth, oauthClientId, oauthClientSecret } = integration;
  const secret = oauthClientSecret?.reveal();
  return {
    url: renderUrl(url, config),
    client: { client_id: oauthClientId ?? '', ...(secret === undefined ? {} : { client_secret: secret }) },
    authenticate: clientAuthenticationOf(auth, renderUrl(auth.token_url, config), context),
    bodyFormat: auth.body_format,
    method: auth.token_http_method,
    headers: renderParams(auth.token_headers, config),
    names: auth.token_parameter_names,
    response: { tokenTypes: auth.token_types, paths: auth.token_response_paths, expiresInUnit: auth.expires_in_unit },
  };
}

function clientAuthenticationOf(
  auth: OAuth2Auth,
  tokenUrl: string,
  context: AuthModeContext,
): ClientAuthenticationMethod {
  const { authorization_method: method, client_assertion_key_id: keyId } = auth;
  const audience = auth.client_assertion_audience ?? auth.issuer ?? tokenUrl;
  const methods: Record<typeof method, () => ClientAuthenticationMethod> = {
    header: () => (auth.basic_encoding === 'plain' ? clientSecretBasicUnencoded : clientSecretBasic),
    body: () => clientSecretPost,
    none: () => noClientSecret,
    private_key_jwt: () => clientAssertion({ ...context, algorithm: auth.client_assertion_algorithm, keyId, audience }),
    client_secret_jwt: () => clientAssertion({ ...context, algorithm: 'HS256', keyId, audience }),
  };
  return methods[method]();
}

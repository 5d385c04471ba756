import { z } from 'zod';
import { NangoError } from '../../errors/nango-error.ts';
import { authorizationCodeGrant } from '../../oauth/grants/authorization-code-grant.ts';
import { buildAuthorizationUrl } from '../../oauth/authorization-request.ts';
import { parseAuthorizationResponse } from '../../oauth/authorization-response.ts';
import { deviceAuthorizationRequest, deviceTokenRequest } from '../../oauth/grants/device-authorization.ts';
import { OAuthResponseError } from '../../oauth/oauth-error.ts';
import { codeChallengeParams } from '../../oauth/pkce.ts';
import { refreshTokenGrant } from '../../oauth/grants/refresh-token-grant.ts';
import { revocationRequest } from '../../oauth/token-revocation.ts';
import { renderParams } from '../../schema/render.ts';
import { namedGroups } from '../../schema/input-fields.ts';
import type { AuthMode, AuthModeContext, Integration } from '../auth-mode.ts';
import { credentialSecret, keepRaw, timeInput } from '../credential-schema.ts';
import { storedBySteps, takeSteps } from '../connect-steps.ts';
import { toInvalidCredentials } from '../prompted/prompted-mode.ts';
import { authorizedBy } from './authorized.ts';
import {
  checkOAuth2Auth,
  grantTypeOf,
  oauth2Endpoints,
  oauth2Shape,
  requiredOAuth2Settings,
  type OAuth2Auth,
} from './auth-fields.ts';
import {
  credentialsFrom,
  grantFromSecrets,
  secretsOfServer,
  storedOAuth2Credentials,
  type OAuth2Credentials,
} from './credentials.ts';
import { promptedFields, grantToPrompted, isIssuedToClient, issueToClient } from './direct-grants.ts';
import { oauth2StepMode, refreshAsConfigured, revokeAsConfigured } from './configured-requests.ts';
import {
  authorizationServerOf,
  clientOf,
  configuredClientOf,
  refreshUrlOf,
  resourceParam,
  revocationUrlOf,
  scopeOf,
  tokenEndpointOf,
  type AuthorizationServer,
  type OAuth2Owner,
} from './server.ts';
import { scopesIn } from '../scopes.ts';
import { refreshDueAt } from '../token-fields.ts';
import { Secret } from '../../vault/secret.ts';

const NO_SECRET = new Secret('');

// The fraction of a refresh token's lifetime after which it is used, so that it does not expire unused.
const KEEP_ALIVE_AT = 0.8;

/** `OAUTH2`: OAuth 2.0 (RFC 6749) with PKCE, every grant that a server can use, and refresh. */
export const oauth2: AuthMode<OAuth2Auth, OAuth2Credentials> = {
  name: 'OAUTH2',
  authShape: oauth2Shape,
  endpoints: oauth2Endpoints,
  checkAuth: checkOAuth2Auth,
  requiredSettings: requiredOAuth2Settings,
  defaultScopes: ({ default_scopes }) => default_scopes,
  credentialsInput: z
    .looseObject({
      access_token: credentialSecret,
      refresh_token: credentialSecret.nullish(),
      expires_at: timeInput.nullish(),
    })
    .transform(({ access_token, refresh_token, expires_at, ...rest }) => ({
      access_token,
      refresh_token: refresh_token ?? undefined,
      expires_at: expires_at ?? undefined,
      raw: keepRaw({ access_token, refresh_token, expires_at, ...rest }),
    })),
  storedCredentials: storedOAuth2Credentials,
  times: ['expires_at', 'refresh_token_expires_at'],
  scopes: {
    granted: ({ raw }, { auth }) =>
      scopesIn(raw.reveal(), { path: auth.token_response_paths['scope'] ?? 'scope', separator: auth.scope_separator }),
    implied: ({ scope_implies }) => scope_implies,
    isIncremental: ({ incremental_scopes }) => incremental_scopes,
  },
  placeholders: {
    access_token: (credentials) => credentials.access_token,
    oauth_client_id: (_, integration) => integration.oauthClientId ?? '',
    oauth_client_secret: (_, integration) => integration.oauthClientSecret ?? '',
  },
  authorization: {
    applies: ({ auth }) => grantTypeOf(auth) === 'authorization_code',
    suppliedConfig: ({ auth }) => [
      ...Object.keys(auth.config_from_callback),
      ...Object.keys(auth.config_from_token_response),
      ...storedBySteps(auth),
    ],
    configFromBrowser: ({ auth }) => Object.keys(auth.config_from_callback),
    usesFormPost: ({ auth }) => auth.authorization_params['response_mode']?.parts[0] === 'form_post',
    async begin({ integration, config, state, redirectUri }, context) {
      const { auth } = integration;
      const owner = { integration, config };
      const server = await authorizationServerOf(owner, context);
      const client = await clientOf(owner, server, { redirectUri, context });
      const codeVerifier = new Secret(context.randomToken());
      const authorizationUrl = buildAuthorizationUrl({
        authorizationUrl: authorizationEndpoint(server),
        parametersIn: auth.authorization_parameters_in ?? 'query',
        client_id: client?.client_id ?? '',
        redirect_uri: sentRedirectUri(owner, redirectUri),
        state,
        scope: scopeOf(integration, server),
        codeChallenge: codeChallengeParams(codeVerifier, auth.code_challenge_method),
        params: { ...resourceParam(server), ...renderParams(auth.authorization_params, config) },
        names: auth.authorization_parameter_names,
      });
      return {
        authorizationUrl,
        secrets: { code_verifier: codeVerifier, ...secretsOfServer(integration, { server, client }) },
      };
    },
    async complete({ integration, config, callback, secrets, redirectUri }, context) {
      const { auth } = integration;
      const owner = { integration, config };
      const begun = grantFromSecrets(secrets);
      const server = await authorizationServerOf(owner, context, begun.issuer);
      const client = begun.client ?? configuredClientOf(integration);
      const { code } = parseAuthorizationResponse(callback, {
        issuer: server.issuer,
        issuerRequired: server.issParameterSupported,
        authorizationUrl: authorizationEndpoint(server),
        codeParameter: auth.callback_parameter_names['code'] ?? 'code',
        accessDeniedErrors: auth.access_denied_errors,
        secrets: Object.values(secrets),
      });
      const grant = {
        code,
        redirect_uri: sentRedirectUri(owner, redirectUri),
        code_verifier: auth.code_challenge_method === 'none' ? undefined : secrets['code_verifier'],
        params: { ...resourceParam(server), ...renderParams(auth.token_params, config) },
      };
      const endpoint = tokenEndpointOf(owner, { server, client }, context);
      const tokenResponse = await authorizationCodeGrant(endpoint, grant, context.http).catch((error: unknown) =>
        forgetClientIfUnknown(error, { owner, server, redirectUri, context }),
      );
      const redirect = auth.refresh_with_redirect_uri ? { redirect_uri: grant.redirect_uri } : {};
      const credentials = credentialsFrom(tokenResponse, integration, { ...begun, ...redirect, now: context.now() });
      return authorizedBy({ credentials, callback }, { owner, server, context });
    },
  },
  device: {
    async begin({ integration, config }, context) {
      const owner = { integration, config };
      const server = await authorizationServerOf(owner, context);
      const client = configuredClientOf(integration);
      if (server.deviceAuthorizationUrl === undefined)
        throw new NangoError(
          'unsupported_auth_mode',
          `"${integration.name}" has no device authorization endpoint (auth.device_authorization_url).`,
        );
      const endpoint = tokenEndpointOf(owner, { server, client, url: server.deviceAuthorizationUrl }, context);
      const scope = scopeOf(integration, server);
      const params = { ...(scope === '' ? {} : { scope }), ...resourceParam(server) };
      const device = await deviceAuthorizationRequest(endpoint, params, context.http);
      return {
        userCode: device.user_code,
        verificationUri: device.verification_uri,
        verificationUriComplete: device.verification_uri_complete,
        expiresIn: device.expires_in,
        interval: device.interval,
        secrets: { device_code: device.device_code, ...secretsOfServer(integration, { server, client }) },
      };
    },
    async poll({ integration, config, secrets }, context) {
      const owner = { integration, config };
      const begun = grantFromSecrets(secrets);
      const server = await authorizationServerOf(owner, context, begun.issuer);
      const endpoint = tokenEndpointOf(owner, { server, client: configuredClientOf(integration) }, context);
      const params = { ...resourceParam(server), ...renderParams(integration.auth.token_params, config) };
      const grant = { device_code: secrets['device_code'] ?? NO_SECRET, params };
      const response = await deviceTokenRequest(endpoint, grant, context.http);
      if (typeof response === 'string') return response;
      const credentials = credentialsFrom(response, integration, { ...begun, now: context.now() });
      return authorizedBy({ credentials }, { owner, server, context });
    },
  },
  prompted: {
    fields: ({ auth }) => promptedFields(auth),
    verification: () => undefined,
    async accept({ integration, config, values }, context) {
      const { credentials = {} } = integration.auth;
      const prompted = values.map((texts) => ({ ...keepRaw(texts).reveal(), ...namedGroups(credentials, texts) }));
      try {
        return await grantToPrompted({ integration, config }, prompted, context);
      } catch (error) {
        throw toInvalidCredentials(error, integration);
      }
    },
  },
  issuance: {
    applies: ({ auth }) => isIssuedToClient(auth),
    issue: ({ integration, config }, context) => issueToClient({ integration, config }, context),
  },
  revocation: {
    applies: ({ auth }) =>
      (auth.revocation_url ?? auth.revocation_request) !== undefined || auth.token_url === undefined,
    async revoke({ integration, config, credentials }, context) {
      const owner = { integration, config };
      const { revocation_request: configured } = integration.auth;
      if (configured) return revokeAsConfigured(configured, { owner, credentials, context });
      const server = await authorizationServerOf(owner, context, credentials.grant?.issuer);
      const url = revocationUrlOf(owner, server);
      if (url === undefined)
        throw new NangoError(
          'unsupported_auth_mode',
          `The authorization server of "${integration.name}" has no revocation endpoint.`,
        );
      const client = credentials.grant?.client ?? configuredClientOf(integration);
      const { access_token, refresh_token } = credentials;
      const revocation =
        refresh_token === undefined
          ? ({ token: access_token, token_type_hint: 'access_token' } as const)
          : ({ token: refresh_token, token_type_hint: 'refresh_token' } as const);
      const endpoint = tokenEndpointOf(owner, { server, client, url, unsentSecrets: [access_token] }, context);
      await revocationRequest(endpoint, revocation, context.http);
    },
  },
  refresh: {
    expiresAt: ({ expires_at }) => expires_at,
    responseTookMs: ({ grant }) => grant?.took_ms ?? 0,
    isRefreshable,
    dueAt: (credentials, integration) => {
      if (!isRefreshable(credentials, integration)) return undefined;
      const { expires_at, grant } = credentials;
      const times = { expires_at: expires_at ?? grant?.assumed_expires_at, received_at: grant?.received_at };
      return refreshDueAt(times, integration.auth);
    },
    keepAliveAt: ({ refresh_token, refresh_token_expires_at, expires_at, grant }, { auth }) => {
      const received = grant?.received_at;
      const refreshesItself = auth.refresh_request?.presentsRefreshToken === false;
      if ((refresh_token === undefined && !refreshesItself) || received === undefined) return undefined;
      const idle = auth.refresh_token_idle_seconds;
      const idleExpiryAt = refresh_token_expires_at ?? (idle === undefined ? undefined : received + idle * 1000);
      const endsAt = refreshesItself ? expires_at : idleExpiryAt;
      return endsAt === undefined ? undefined : received + (endsAt - received) * KEEP_ALIVE_AT;
    },
    async refresh({ integration, config, credentials }, context) {
      const owner = { integration, config };
      const { auth } = integration;
      const { access_token, refresh_token, grant } = credentials;
      if (isIssuedToClient(auth)) return issueToClient(owner, context);
      if (grant?.prompted && refresh_token === undefined) return grantToPrompted(owner, grant.prompted, context);
      if (auth.refresh_request) return refreshAsConfigured(auth.refresh_request, { owner, credentials, context });
      // The refresh token grant (RFC 6749 §6), with the client and the redirect_uri that the grant was issued for.
      const server = await authorizationServerOf(owner, context, grant?.issuer);
      const client = grant?.client ?? configuredClientOf(integration);
      const { refresh_authorization_method: method = auth.authorization_method } = auth;
      const request = { server, client, url: refreshUrlOf(owner, server), method, unsentSecrets: [access_token] };
      const redirect = grant?.redirect_uri === undefined ? {} : { redirect_uri: grant.redirect_uri };
      const params = { ...resourceParam(server), ...redirect, ...renderParams(auth.refresh_params, config) };
      const response = await refreshTokenGrant(
        tokenEndpointOf(owner, request, context),
        { refresh_token: refresh_token ?? NO_SECRET, params },
        context.http,
      );
      const refreshed = credentialsFrom(response, integration, { ...grant, now: context.now(), earlier: credentials });
      const progress = { credentials: refreshed, config: {}, identity: {} };
      const mode = oauth2StepMode(owner, context);
      return (await takeSteps(owner, progress, { mode, context, tokensOnly: true })).credentials;
    },
  },
};

function isRefreshable({ refresh_token, grant }: OAuth2Credentials, { auth }: Integration<OAuth2Auth>): boolean {
  if (refresh_token !== undefined || grant?.prompted !== undefined || isIssuedToClient(auth)) return true;
  return auth.refresh_request?.presentsRefreshToken === false;
}

/** Returns the redirect_uri of authorization and token requests. */
function sentRedirectUri({ integration, config }: OAuth2Owner, callbackUrl: string): string {
  const { redirect_uri } = integration.auth;
  return redirect_uri === undefined ? callbackUrl : (renderParams({ redirect_uri }, config)['redirect_uri'] ?? '');
}

function authorizationEndpoint({ authorizationUrl }: AuthorizationServer): string {
  if (authorizationUrl !== undefined) return authorizationUrl;
  throw new NangoError('unsupported_auth_mode', 'The authorization server has no authorization endpoint.');
}

interface RegistrationUse {
  readonly owner: OAuth2Owner;
  readonly server: AuthorizationServer;
  readonly redirectUri: string;
  readonly context: AuthModeContext;
}

/**
 * Handles the error of a token request, and throws it again. If the server no longer knows the registered client,
 * removes it, so that the next attempt registers a new one.
 */
async function forgetClientIfUnknown(
  error: unknown,
  { owner: { integration }, server: { issuer }, redirectUri, context }: RegistrationUse,
): Promise<never> {
  const isUnknown = error instanceof OAuthResponseError && error.error === 'invalid_client';
  if (isUnknown && integration.oauthClientId === undefined && issuer !== undefined)
    await context.registrations.forget({ integration: integration.name, issuer, redirectUri });
  throw error;
}

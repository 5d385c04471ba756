import { z } from 'zod';
import { clientCredentialsGrant } from '../../oauth/grants/client-credentials-grant.ts';
import { JWT_BEARER, jwtBearerGrant } from '../../oauth/grants/jwt-bearer-grant.ts';
import { resourceOwnerPasswordGrant } from '../../oauth/grants/resource-owner-password-grant.ts';
import type { InputFields } from '../../schema/input-fields.ts';
import { renderParams } from '../../schema/render.ts';
import type { AuthModeContext, JsonObject } from '../auth-mode.ts';
import { credentialSecret, credentialText } from '../credential-schema.ts';
import { parsePrompted } from '../prompted/prompted-mode.ts';
import { signConfiguredJwt } from '../prompted/jwt-fields.ts';
import { grantTypeOf, type OAuth2Auth } from './auth-fields.ts';
import { credentialsFrom, type OAuth2Credentials } from './credentials.ts';
import {
  authorizationServerOf,
  configuredClientOf,
  resourceParam,
  scopeOf,
  tokenEndpointOf,
  type OAuth2Owner,
} from './server.ts';
import { Secret } from '../../vault/secret.ts';

// These grants need no browser: prompted credentials, or the application's own, are the authorization.

/**
 * Returns the fields to prompt for: those of the grant, or those that `auth` declares. Undefined if the application's
 * own assertion is used.
 */
export function promptedFields(auth: OAuth2Auth): InputFields | undefined {
  const grantType = grantTypeOf(auth);
  if (grantType === JWT_BEARER) return auth.credentials;
  if (grantType !== 'password') return undefined;
  return { username: { label: 'User name', secret: false }, password: { label: 'Password' }, ...auth.credentials };
}

/** Whether tokens are issued to the application itself, so no user is involved. */
export function isIssuedToClient(auth: OAuth2Auth): boolean {
  const grantType = grantTypeOf(auth);
  return grantType === 'client_credentials' || (grantType === JWT_BEARER && auth.credentials === undefined);
}

/**
 * Requests a token for the application itself: client credentials (RFC 6749 §4.4), or the application's own assertion.
 */
export async function issueToClient(owner: OAuth2Owner, context: AuthModeContext): Promise<OAuth2Credentials> {
  const { integration, config } = owner;
  if (grantTypeOf(integration.auth) === JWT_BEARER) return grantToPrompted(owner, new Secret({}), context);
  const server = await authorizationServerOf(owner, context);
  const endpoint = tokenEndpointOf(owner, { server, client: configuredClientOf(integration) }, context);
  const params = { ...resourceParam(server), ...renderParams(integration.auth.token_params, config) };
  const response = await clientCredentialsGrant(
    endpoint,
    { scope: scopeOf(integration, server), params },
    context.http,
  );
  return credentialsFrom(response, integration, { now: context.now() });
}

const passwordSchema = z.object({ username: credentialText, password: credentialSecret });

/** Requests a token with prompted values: the user's password, or an assertion signed with the user's key. */
export async function grantToPrompted(
  owner: OAuth2Owner,
  prompted: Secret<JsonObject>,
  context: AuthModeContext,
): Promise<OAuth2Credentials> {
  const { integration, config } = owner;
  const { auth } = integration;
  const server = await authorizationServerOf(owner, context);
  const endpoint = tokenEndpointOf(owner, { server, client: configuredClientOf(integration) }, context);
  const params = { ...resourceParam(server), ...renderParams(auth.token_params, config) };
  const scope = scopeOf(integration, server);
  if (auth.assertion && grantTypeOf(auth) === JWT_BEARER) {
    const sources = { integration, config, raw: prompted, named: { scope, token_url: server.tokenUrl } };
    const assertion = signConfiguredJwt(auth.assertion, sources, context);
    const response = await jwtBearerGrant(endpoint, { assertion, scope, params }, context.http);
    return credentialsFrom(response, integration, { now: context.now(), prompted });
  }
  const login = parsePrompted(passwordSchema, prompted, integration);
  const response = await resourceOwnerPasswordGrant(endpoint, { ...login, scope, params }, context.http);
  // RFC 6749 §4.3.1: the password is discarded once there is a token, unless nothing else could refresh it.
  const keep = auth.keep_password && response.refresh_token === undefined;
  return credentialsFrom(response, integration, { now: context.now(), ...(keep ? { prompted } : {}) });
}

import { NangoError } from '../../errors/nango-error.ts';
import {
  authorizationServerMetadata,
  type AuthorizationServerMetadata,
} from '../../oauth/discovery/authorization-server-metadata.ts';
import { clientAssertion } from '../../oauth/client-assertion.ts';
import {
  clientSecretBasic,
  clientSecretBasicUnencoded,
  clientSecretPost,
  noClientSecret,
  type ClientAuthenticationMethod,
} from '../../oauth/client-authentication.ts';
import {
  registerClient,
  registeredAuthMethod,
  type RegisteredClient,
} from '../../oauth/discovery/client-registration.ts';
import { protectedResourceMetadata } from '../../oauth/discovery/protected-resource-metadata.ts';
import type { TokenEndpoint } from '../../oauth/token-request.ts';
import { assertSecureUrl } from '../../schema/loopback-host.ts';
import { renderParams, renderUrl } from '../../schema/render.ts';
import type { Template } from '../../schema/template.ts';
import type { AdditionalConfig, AuthModeContext, Integration, JsonObject } from '../auth-mode.ts';
import { renderAuthHeaders, renderAuthUrl } from '../auth-values.ts';
import { isDiscovered, type OAuth2Auth } from './auth-fields.ts';
import { responseFormat } from '../token-fields.ts';
import { Secret } from '../../vault/secret.ts';

const NO_RAW = new Secret<JsonObject>({});

/** The Integration for which a request is made, and the connection's settings. */
export interface OAuth2Owner {
  readonly integration: Integration<OAuth2Auth>;
  readonly config: AdditionalConfig;
}

/** An authorization server as one Integration uses it. Configured endpoints take precedence over discovered ones. */
export interface AuthorizationServer {
  readonly issuer: string | undefined;
  readonly authorizationUrl: string | undefined;
  readonly tokenUrl: string;
  /** From the metadata; {@link revocationUrlOf} also knows the configured one. */
  readonly revocationUrl: string | undefined;
  readonly deviceAuthorizationUrl: string | undefined;
  readonly registrationUrl: string | undefined;
  /** Resource indicator (RFC 8707). */
  readonly resource: string | undefined;
  /** Scopes that the resource names. They are requested if the Integration names none. */
  readonly resourceScopes: readonly string[];
  /** RFC 9207 §3: a response without `iss` is rejected. */
  readonly issParameterSupported: boolean;
  readonly authMethodsSupported: readonly string[] | undefined;
}

/** A client that the authorization server knows, configured or registered. */
export type OAuth2Client = Pick<RegisteredClient, 'client_id' | 'client_secret' | 'token_endpoint_auth_method'>;

/**
 * Finds the authorization server: from configured URLs, from the metadata of `issuer`, or from the server that protects
 * `resource`. `issuer` is the one with which a grant or a stored connection began; it counts if the resource chose it.
 * Throws `provider_error`.
 */
export async function authorizationServerOf(
  owner: OAuth2Owner,
  context: AuthModeContext,
  issuer?: string,
): Promise<AuthorizationServer> {
  const { auth, allowHttp, clientCertificate } = owner.integration;
  const url = (template: Template | undefined) => template && renderUrl(template, owner.config);
  const resource = url(auth.resource);
  const discovered = isDiscovered(auth)
    ? await discover({ issuer: url(auth.issuer) ?? issuer, resource, allowHttp }, context)
    : undefined;
  const metadata = discovered?.metadata;
  // RFC 8705 §5: a client that presents a certificate uses the endpoints for such clients.
  const endpoints = clientCertificate ? { ...metadata, ...metadata?.mtls_endpoint_aliases } : metadata;
  const tokenUrl = url(auth.token_url) ?? endpoints?.token_endpoint;
  if (tokenUrl === undefined)
    throw new NangoError('provider_error', 'The authorization server names no token endpoint.');
  const server = {
    issuer: metadata?.issuer ?? url(auth.issuer),
    authorizationUrl:
      (auth.authorization_url && renderAuthUrl(auth.authorization_url, { ...owner, raw: NO_RAW })) ??
      metadata?.authorization_endpoint,
    tokenUrl,
    revocationUrl: endpoints?.revocation_endpoint,
    deviceAuthorizationUrl: url(auth.device_authorization_url) ?? endpoints?.device_authorization_endpoint,
    registrationUrl: metadata?.registration_endpoint,
  };
  for (const endpoint of Object.values(server)) assertSecure(endpoint, allowHttp);
  return {
    ...server,
    resource: discovered?.resource ?? resource,
    resourceScopes: discovered?.scopes ?? [],
    issParameterSupported: metadata?.authorization_response_iss_parameter_supported ?? false,
    authMethodsSupported: metadata?.token_endpoint_auth_methods_supported,
  };
}

interface Discovery {
  readonly issuer: string | undefined;
  readonly resource: string | undefined;
  readonly allowHttp: boolean;
}

async function discover({ issuer, resource, allowHttp }: Discovery, context: AuthModeContext) {
  const { authorizationServers, protectedResources, http } = context;
  const loadServer = (name: string): Promise<AuthorizationServerMetadata> => {
    assertSecure(name, allowHttp);
    return authorizationServers.get(name, () => authorizationServerMetadata(name, http));
  };
  if (resource === undefined) return { metadata: await loadServer(issuer ?? ''), resource: undefined, scopes: [] };
  assertSecure(resource, allowHttp);
  const protectedResource = await protectedResources.get(resource, () => protectedResourceMetadata(resource, http));
  // RFC 9728 §7.6: the client may use any of the named servers.
  const server = issuer ?? protectedResource.authorization_servers[0];
  if (server === undefined) throw new NangoError('provider_error', `${resource} names no authorization server.`);
  return {
    metadata: await loadServer(server),
    resource: protectedResource.resource,
    scopes: protectedResource.scopes_supported ?? [],
  };
}

/** Throws `provider_error` for an insecure URL. Metadata must not make us send tokens in the clear (RFC 8414 §2). */
function assertSecure(url: string | undefined, allowHttp: boolean): void {
  if (url === undefined) return;
  assertSecureUrl(new URL(url), { allowHttp, source: 'The authorization server', code: 'provider_error' });
}

/** Returns the URL for refreshing. It is rendered when needed, because connecting may supply values for it. */
export function refreshUrlOf(owner: OAuth2Owner, { tokenUrl }: AuthorizationServer): string {
  return renderSecureUrl(owner, owner.integration.auth.refresh_url) ?? tokenUrl;
}

/** Returns the URL for revoking, which is rendered when needed, too; undefined if there is none. */
export function revocationUrlOf(owner: OAuth2Owner, { revocationUrl }: AuthorizationServer): string | undefined {
  return renderSecureUrl(owner, owner.integration.auth.revocation_url) ?? revocationUrl;
}

function renderSecureUrl({ integration, config }: OAuth2Owner, template: Template | undefined): string | undefined {
  const url = template && renderUrl(template, config);
  assertSecure(url, integration.allowHttp);
  return url;
}

/**
 * Returns the client: configured, or registered dynamically for this Integration, issuer and redirect URI (RFC 7591).
 */
export async function clientOf(
  { integration }: OAuth2Owner,
  server: AuthorizationServer,
  { redirectUri, context }: { redirectUri: string; context: AuthModeContext },
): Promise<OAuth2Client | undefined> {
  const { oauthClientId: client_id, oauthClientSecret, auth, name } = integration;
  if (client_id !== undefined) return configuredClient(client_id, oauthClientSecret);
  if (!auth.client_metadata) return undefined;
  const { registrationUrl, issuer } = server;
  if (registrationUrl === undefined || issuer === undefined)
    throw new NangoError(
      'provider_error',
      'The authorization server does not register clients dynamically. ' +
        `Register one by hand and set oauth_client_id of "${name}".`,
    );
  const metadata = {
    client_name: name,
    ...renderParams(auth.client_metadata, {}),
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: registeredAuthMethod(server.authMethodsSupported),
  };
  return context.registrations.findOrRegister({ integration: name, issuer, redirectUri }, () =>
    registerClient(registrationUrl, metadata, context.http),
  );
}

/** Returns a client with configured values. */
function configuredClient(
  client_id: string,
  client_secret: Secret<string> | undefined,
): { client_id: string; client_secret?: Secret<string> } {
  return { client_id, ...(client_secret === undefined ? {} : { client_secret }) };
}

/** Returns the client that the Integration configures; undefined if there is none. */
export function configuredClientOf({ oauthClientId, oauthClientSecret }: Integration): OAuth2Client | undefined {
  return oauthClientId === undefined ? undefined : configuredClient(oauthClientId, oauthClientSecret);
}

/** Returns a token endpoint as protocol code needs it. `url` replaces the token endpoint's own. */
export function tokenEndpointOf(
  { integration, config }: OAuth2Owner,
  {
    server,
    client,
    url = server.tokenUrl,
    method = integration.auth.authorization_method,
    unsentSecrets = [],
  }: {
    server: AuthorizationServer;
    client: OAuth2Client | undefined;
    url?: string;
    method?: OAuth2Auth['authorization_method'];
    unsentSecrets?: TokenEndpoint['unsentSecrets'];
  },
  context: AuthModeContext,
): TokenEndpoint {
  const { auth, clientCertificate } = integration;
  return {
    url,
    client: client ? configuredClient(client.client_id, client.client_secret) : {},
    authenticate: client ? authenticationOf(auth, { server, client, method }, context) : noClientSecret,
    bodyFormat: auth.body_format,
    method: auth.token_http_method,
    headers: renderAuthHeaders(auth.token_headers, { integration, config, raw: NO_RAW }),
    names: auth.token_parameter_names,
    clientCertificate,
    unsentSecrets: [...unsentSecrets, integration.appApiKey],
    response: responseFormat(auth, auth.token_types),
  };
}

const METHODS_BY_WIRE_NAME = {
  client_secret_basic: 'header',
  client_secret_post: 'body',
  none: 'none',
} as const;

function authenticationOf(
  auth: OAuth2Auth,
  {
    server,
    client,
    method = negotiatedMethod(client, server),
  }: { server: AuthorizationServer; client: OAuth2Client; method: OAuth2Auth['authorization_method'] },
  context: AuthModeContext,
): ClientAuthenticationMethod {
  const { client_assertion_key_id: keyId } = auth;
  const audience = auth.client_assertion_audience ?? server.issuer ?? server.tokenUrl;
  const methods: Record<typeof method, () => ClientAuthenticationMethod> = {
    header: () => (auth.basic_encoding === 'plain' ? clientSecretBasicUnencoded : clientSecretBasic),
    body: () => clientSecretPost,
    none: () => noClientSecret,
    tls_client_auth: () => noClientSecret,
    private_key_jwt: () => clientAssertion({ ...context, algorithm: auth.client_assertion_algorithm, keyId, audience }),
    client_secret_jwt: () => clientAssertion({ ...context, algorithm: 'HS256', keyId, audience }),
  };
  return methods[method]();
}

/**
 * The method with which the client was registered. Otherwise Basic, unless the server's metadata has only the other
 * one.
 */
function negotiatedMethod(
  { token_endpoint_auth_method: registered }: OAuth2Client,
  { authMethodsSupported = ['client_secret_basic'] }: AuthorizationServer,
): 'header' | 'body' | 'none' {
  const names = Object.entries(METHODS_BY_WIRE_NAME);
  const registeredMethod = names.find(([wire]) => wire === registered)?.[1];
  if (registeredMethod) return registeredMethod;
  return !authMethodsSupported.includes('client_secret_basic') && authMethodsSupported.includes('client_secret_post')
    ? 'body'
    : 'header';
}

/** Returns the scopes to ask for: the Integration's, or those that the resource names. */
export function scopesOf(
  { oauthScopes }: Integration<OAuth2Auth>,
  { resourceScopes }: AuthorizationServer,
): readonly string[] {
  return oauthScopes.length > 0 ? oauthScopes : resourceScopes;
}

/** Returns the value of `scope`. */
export function scopeOf(integration: Integration<OAuth2Auth>, server: AuthorizationServer): string {
  return scopesOf(integration, server).join(integration.auth.scope_separator);
}

/** Returns the parameter `resource` (RFC 8707), if there is one. */
export function resourceParam({ resource }: AuthorizationServer): Record<string, string> {
  return resource === undefined ? {} : { resource };
}

import type { Tags } from '../connections/connection-input.ts';
import { assertConfig, integrationNamed, type ConnectionContext } from '../connections/connection-context.ts';
import { findReferenced } from '../connections/connection-reference.ts';
import { NangoError } from '../errors/nango-error.ts';
import { Secret } from '../vault/secret.ts';
import { chosenAccount, type AccountChoice } from './accounts.ts';
import { hashToken } from './connect-sessions.ts';
import { withOAuthClient, type OAuthClient } from '../connections/oauth-client.ts';
import { assertSecretStays, assertUsableClient, sealSessionClient } from './own-client.ts';
import { canConnectByLink } from './link-flow.ts';
import { assertAllowedRedirectUrl } from './redirects.ts';
import { assertAllowedScopes } from './requested-scopes.ts';
import { sessionOptionsSchema, storedOptions, type SessionOptions } from './session-options.ts';

const DEFAULT_LIFE_SECONDS = 900;
/** The longest life of a connect session token, in seconds. */
const MAX_TOKEN_SECONDS = 86_400;
/** The longest life of a link, in seconds. */
export const MAX_SESSION_SECONDS = 604_800;

/** The permission that a back end gives to one of its users. */
export interface ConnectSessionRequest extends AccountChoice, SessionOptions {
  /** May be absent beside `connectionId`. */
  readonly userId?: string | undefined;
  /** Undefined = those that the connection has, if it exists. */
  readonly tags?: Tags | undefined;
  /** The Integrations that the user may connect; undefined = any. */
  readonly integrations?: readonly string[] | undefined;
  /** The only page origin that may use the token; undefined = any. */
  readonly origin?: string | undefined;
  /** The life of the link. The token lives as long, but at most a day. */
  readonly expiresInSeconds?: number | undefined;
  /** The customer's own OAuth app, for the only Integration of the session. */
  readonly oauthClient?: OAuthClient | undefined;
}

/** A connect session token. Times are in milliseconds since the epoch. */
export interface ConnectSession {
  readonly token: Secret<string>;
  /** The only account that the token permits. */
  readonly account: string;
  readonly expiresAt: number;
  /** Undefined if the user could not connect by a link. */
  readonly link: { readonly token: Secret<string>; readonly expiresAt: number } | undefined;
}

/**
 * Creates a connect session with its token and its link. Only their hashes are stored. Throws `invalid_request`,
 * `unknown_integration`, `connection_not_found` and `migration_unfinished`.
 */
export async function createConnectSession(
  request: ConnectSessionRequest,
  context: ConnectionContext,
): Promise<ConnectSession> {
  const { tags, origin, oauthClient, expiresInSeconds = DEFAULT_LIFE_SECONDS } = request;
  const permitted = await permittedBy(request, context);
  const options = sessionOptionsSchema.parse(request);
  assertSessionRedirect(options, context);
  assertSessionConfig(options, permitted, context);
  assertSessionScopes(options, permitted, context);
  if (oauthClient) assertSessionClient(oauthClient, { permitted, options }, context);
  await assertUnderstood({ ...options, expiresInSeconds, oauthClient }, context);
  const token = new Secret(`nango_session_${context.randomToken()}`);
  const linkToken = (await hasLink(permitted, options, context)) ? new Secret(context.randomToken()) : undefined;
  const now = context.now();
  const tokenExpiresAt = now + Math.min(expiresInSeconds, MAX_TOKEN_SECONDS) * 1000;
  const expiresAt = now + expiresInSeconds * 1000;
  const { userId, account, integrations } = permitted;
  const tokenHash = hashToken(token);
  await context.store.insertSession({
    tokenHash,
    userId,
    account,
    tags: tags ? JSON.stringify(tags) : null,
    integrations: integrations ? JSON.stringify(integrations) : null,
    origin: origin ?? null,
    options: storedOptions(options),
    sealedClient: oauthClient ? sealSessionClient(oauthClient, { tokenHash }, context) : null,
    linkHash: linkToken ? hashToken(linkToken) : null,
    tokenExpiresAt,
    expiresAt,
  });
  return { token, account, expiresAt: tokenExpiresAt, link: linkToken && { token: linkToken, expiresAt } };
}

/** Throws `invalid_request` if `redirectUrl` is not allowed, or missing beside `confirm`. */
function assertSessionRedirect({ redirectUrl, confirm = false }: SessionOptions, context: ConnectionContext): void {
  if (redirectUrl !== undefined) return assertAllowedRedirectUrl(redirectUrl, context);
  if (confirm) throw new NangoError('invalid_request', 'confirm needs redirectUrl, the page that receives the code.');
}

/**
 * Throws `migration_unfinished` for a session that servers of an earlier release could misunderstand: they know neither
 * `connectionId`, `confirm`, `oauthClient` nor tokens that expire before their session.
 */
async function assertUnderstood(
  {
    connectionId,
    confirm,
    expiresInSeconds,
    oauthClient,
  }: Pick<ConnectSessionRequest, 'connectionId' | 'confirm' | 'oauthClient'> & { expiresInSeconds: number },
  { store }: ConnectionContext,
): Promise<void> {
  const isNew = [connectionId, confirm, oauthClient].some(Boolean) || expiresInSeconds > MAX_TOKEN_SECONDS;
  if (!isNew || (await store.isMigrationFinished())) return;
  throw new NangoError(
    'migration_unfinished',
    'Sessions with connectionId, confirm or oauthClient, or of more than a day, are not possible while servers of an ' +
      'earlier release may use the database. End these servers, then run: nango migrate finish',
  );
}

/** Whether the session gets a link: it names its Integrations, and none of them needs fields from the user. */
async function hasLink(
  { integrations, userId, account }: PermittedConnections,
  options: SessionOptions,
  context: ConnectionContext,
): Promise<boolean> {
  // Servers of an earlier release do not mark links as used.
  if (!integrations || !(await context.store.isMigrationFinished())) return false;
  const possible = integrations.map((integration) =>
    canConnectByLink({ integration, userId, account }, options, context),
  );
  return (await Promise.all(possible)).every(Boolean);
}

/** The connections that a session permits. */
interface PermittedConnections {
  readonly userId: string;
  readonly account: string;
  /** Undefined = any. */
  readonly integrations: readonly string[] | undefined;
}

async function permittedBy(request: ConnectSessionRequest, context: ConnectionContext): Promise<PermittedConnections> {
  const { connectionId, userId, integrations } = request;
  if (connectionId !== undefined) return permittedReconnect(connectionId, request, context);
  if (userId === undefined)
    throw new NangoError('invalid_request', 'Name the user by userId, or a connection by connectionId.');
  for (const integration of integrations ?? []) integrationNamed(integration, context);
  return { userId, account: chosenAccount(request, context), integrations };
}

/** Throws `invalid_request` if the request names another connection beside the id. */
async function permittedReconnect(
  connectionId: string,
  { userId, integrations, account, newAccount = false }: ConnectSessionRequest,
  context: ConnectionContext,
): Promise<PermittedConnections> {
  const row = await findReferenced({ connectionId, integration: undefined }, context);
  integrationNamed(row.integration, context);
  const isThisConnection =
    !newAccount &&
    (userId ?? row.userId) === row.userId &&
    (account ?? row.account) === row.account &&
    (integrations ?? [row.integration]).every((name) => name === row.integration);
  if (isThisConnection) return { userId: row.userId, account: row.account, integrations: [row.integration] };
  throw new NangoError(
    'invalid_request',
    `The connection "${connectionId}" has another user id, integration or account than this request names. ` +
      'Name the connection by connectionId alone.',
  );
}

/** Throws `invalid_request` if a value does not fit its field, or its Integration is not permitted. */
function assertSessionConfig(
  { additionalConfig = {} }: SessionOptions,
  { integrations }: PermittedConnections,
  context: ConnectionContext,
): void {
  for (const [name, values] of Object.entries(additionalConfig)) {
    const integration = integrationNamed(name, context);
    assertPermitted(name, { option: 'additionalConfig', integrations });
    // The page or the connection may supply the fields that are missing here.
    assertConfig(integration, values, Object.keys(integration.configFields));
  }
}

/** Throws `invalid_request` if the session cannot have an own OAuth app. */
function assertSessionClient(
  client: OAuthClient,
  { permitted, options }: { permitted: PermittedConnections; options: SessionOptions },
  context: ConnectionContext,
): void {
  const [name, ...others] = permitted.integrations ?? [];
  if (name === undefined || others.length > 0)
    throw new NangoError('invalid_request', 'A session with oauthClient must name exactly one Integration.');
  const integration = withOAuthClient(integrationNamed(name, context), client);
  assertUsableClient(integration);
  const fixed = options.additionalConfig?.[name] ?? {};
  assertSecretStays(integration, { config: fixed, fixed });
}

/** Throws `invalid_request` if a scope or its Integration is not permitted. */
function assertSessionScopes(
  { scopes = {} }: SessionOptions,
  { integrations }: PermittedConnections,
  context: ConnectionContext,
): void {
  for (const [name, chosen] of Object.entries(scopes)) {
    assertAllowedScopes(chosen, integrationNamed(name, context));
    assertPermitted(name, { option: 'scopes', integrations });
  }
}

function assertPermitted(
  integration: string,
  { option, integrations }: { option: string; integrations: PermittedConnections['integrations'] },
): void {
  if (!integrations || integrations.includes(integration)) return;
  throw new NangoError('invalid_request', `${option} names "${integration}", which integrations does not list.`);
}

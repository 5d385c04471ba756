import type { Tags } from '../connections/connection-input.ts';
import { assertConfig, integrationNamed, type ConnectionContext } from '../connections/connection-context.ts';
import { findReferenced } from '../connections/connection-reference.ts';
import { NangoError } from '../errors/nango-error.ts';
import { Secret } from '../vault/secret.ts';
import { chosenAccount, type AccountChoice } from './accounts.ts';
import { hashToken } from './connect-sessions.ts';
import { assertAllowedScopes } from './requested-scopes.ts';
import { sessionOptionsSchema, storedOptions, type SessionOptions } from './session-options.ts';

const DEFAULT_LIFE_SECONDS = 900;
/** The longest life of a connect session token, in seconds. */
export const MAX_TOKEN_SECONDS = 86_400;

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
  readonly expiresInSeconds?: number | undefined;
}

/** A connect session token. `expiresAt` is in milliseconds since the epoch. */
export interface ConnectSession {
  readonly token: Secret<string>;
  /** The only account that the token permits. */
  readonly account: string;
  readonly expiresAt: number;
}

/**
 * Creates a connect session token. Only its hash is stored. Throws `invalid_request`, `unknown_integration` and
 * `connection_not_found`.
 */
export async function createConnectSession(
  request: ConnectSessionRequest,
  context: ConnectionContext,
): Promise<ConnectSession> {
  const permitted = await permittedBy(request, context);
  const options = sessionOptionsSchema.parse(request);
  assertSessionConfig(options, permitted, context);
  assertSessionScopes(options, permitted, context);
  const token = new Secret(`nango_session_${context.randomToken()}`);
  const expiresAt = context.now() + (request.expiresInSeconds ?? DEFAULT_LIFE_SECONDS) * 1000;
  await context.store.insertSession({
    tokenHash: hashToken(token),
    userId: permitted.userId,
    account: permitted.account,
    tags: request.tags ? JSON.stringify(request.tags) : null,
    integrations: permitted.integrations ? JSON.stringify(permitted.integrations) : null,
    origin: request.origin ?? null,
    options: storedOptions(options),
    expiresAt,
  });
  return { token, account: permitted.account, expiresAt };
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

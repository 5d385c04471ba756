import { randomUUID } from 'node:crypto';
import type { AdditionalConfig, JsonObject } from '../auth-modes/auth-mode.ts';
import {
  assertConfig,
  authModeOf,
  configOf,
  integrationNamed,
  parseConfig,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { findReferenced, throwNotFound, type ConnectionReference } from '../connections/connection-reference.ts';
import type { Tags } from '../connections/connection-input.ts';
import { withOAuthClient, type OAuthClient } from '../connections/oauth-client.ts';
import { createSeal, openOAuthClient } from '../connections/sealed-credentials.ts';
import { assertSecretStays, assertUsableClient } from './own-client.ts';
import { assertMayHaveAccount, chosenAccount } from './accounts.ts';
import type { ConnectRequest } from './connect-sessions.ts';
import { toPublicConnection, type PublicConnection } from '../connections/public-connection.ts';
import { NangoError } from '../errors/nango-error.ts';
import { scheduleOf } from '../refresh/refresh-schedule.ts';
import { UNKNOWN_GRANT, type ConnectionKey } from '../store/store.ts';
import { parseCredentials } from './parse-credentials.ts';
import type { Secret } from '../vault/secret.ts';

/** A connection that an application registers. The credentials are not checked yet. */
export interface Registration extends ConnectRequest {
  readonly credentials: Secret<JsonObject>;
  readonly additionalConfig?: AdditionalConfig | undefined;
  readonly tags?: Tags | undefined;
  /** The customer's own OAuth app, whose tokens the credentials are. */
  readonly oauthClient?: OAuthClient | undefined;
}

/**
 * Stores a connection with credentials from the application. Throws `connection_exists` if the user has one, and the
 * errors of {@link parseCredentials}. If it throws, nothing is stored.
 */
export async function registerConnection(
  { credentials, additionalConfig = {}, tags = {}, oauthClient, ...request }: Registration,
  context: ConnectionContext,
): Promise<PublicConnection> {
  const { integration, userId } = request;
  const key = { integration, userId, account: chosenAccount(request, context) };
  assertConfig(integrationNamed(key.integration, context), additionalConfig);
  await assertMayHaveAccount(key, context);
  if (oauthClient) await assertCanStoreClient(oauthClient, { integration, additionalConfig }, context);
  const { seal, ...accepted } = await accept({ key, credentials, additionalConfig, oauthClient }, context);
  const connection = {
    ...key,
    oauthClientId: oauthClient?.clientId,
    ...accepted,
    seal,
    id: randomUUID(),
    additionalConfig: JSON.stringify(additionalConfig),
    tags: JSON.stringify(tags),
  };
  const row = await context.store.insertConnection(connection);
  if (row) return toPublicConnection(row, context);
  throw new NangoError(
    'connection_exists',
    `User "${userId}" already has the account "${key.account}" connected to "${integration}". ` +
      'Use updateConnectionCredentials to replace its credentials.',
  );
}

/** Replaces a connection's credentials. Throws `connection_not_found`, and the errors of {@link parseCredentials}. */
export async function replaceCredentials(
  reference: ConnectionReference,
  credentials: Registration['credentials'],
  context: ConnectionContext,
): Promise<PublicConnection> {
  const row = await findReferenced(reference, context);
  const additionalConfig = parseConfig(row.additionalConfig);
  const oauthClient = openOAuthClient(row, context.vault);
  const { seal, ...accepted } = await accept({ key: row, credentials, additionalConfig, oauthClient }, context);
  // Only the application knows where these credentials are from.
  const change = { ...accepted, grant: UNKNOWN_GRANT, sealedCredentials: seal(row.id) };
  const replaced = await context.store.updateCredentials(row, change);
  return toPublicConnection(replaced ?? (await throwNotFound(reference, context)), context);
}

async function accept(
  {
    key,
    credentials: submitted,
    additionalConfig,
    oauthClient,
  }: {
    key: ConnectionKey;
    credentials: Secret<JsonObject>;
    additionalConfig: AdditionalConfig;
    oauthClient: OAuthClient | undefined;
  },
  context: ConnectionContext,
) {
  const integration = withOAuthClient(integrationNamed(key.integration, context), oauthClient);
  const config = configOf(integration, additionalConfig);
  const credentials = await parseCredentials(
    { integration, credentials: submitted, config, from: 'application' },
    context,
  );
  const mode = authModeOf(integration);
  return {
    authMode: mode.name,
    seal: await createSeal({ credentials, oauthClient }, key, context),
    ...scheduleOf(credentials, { mode, integration }, context),
    now: context.now(),
  };
}

/** Throws `migration_unfinished`, and `invalid_request` if the Integration cannot have this OAuth app. */
async function assertCanStoreClient(
  client: OAuthClient,
  { integration: name, additionalConfig }: { integration: string; additionalConfig: AdditionalConfig },
  context: ConnectionContext,
): Promise<void> {
  const integration = withOAuthClient(integrationNamed(name, context), client);
  assertUsableClient(integration);
  assertSecretStays(integration, { config: additionalConfig, fixed: additionalConfig });
  if (await context.store.isMigrationFinished()) return;
  throw new NangoError(
    'migration_unfinished',
    'A connection cannot have its own OAuth app while servers of an earlier release may use the database. ' +
      'End these servers, then run: nango migrate finish',
  );
}

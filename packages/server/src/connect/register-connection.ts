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
import { createSeal } from '../connections/sealed-credentials.ts';
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
}

/**
 * Stores a connection with credentials from the application. Throws `connection_exists` if the user has one, and the
 * errors of {@link parseCredentials}. If it throws, nothing is stored.
 */
export async function registerConnection(
  { credentials, additionalConfig = {}, tags = {}, ...request }: Registration,
  context: ConnectionContext,
): Promise<PublicConnection> {
  const { integration, userId } = request;
  const key = { integration, userId, account: chosenAccount(request, context) };
  assertConfig(integrationNamed(key.integration, context), additionalConfig);
  await assertMayHaveAccount(key, context);
  const { seal, ...accepted } = await accept({ key, credentials, additionalConfig }, context);
  const connection = {
    ...key,
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
  const { seal, ...accepted } = await accept({ key: row, credentials, additionalConfig }, context);
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
  }: { key: ConnectionKey; credentials: Secret<JsonObject>; additionalConfig: AdditionalConfig },
  context: ConnectionContext,
) {
  const integration = integrationNamed(key.integration, context);
  const config = configOf(integration, additionalConfig);
  const credentials = await parseCredentials(
    { integration, credentials: submitted, config, from: 'application' },
    context,
  );
  const mode = authModeOf(integration);
  return {
    authMode: mode.name,
    seal: await createSeal(credentials, key, context),
    ...scheduleOf(credentials, { mode, integration }, context),
    now: context.now(),
  };
}

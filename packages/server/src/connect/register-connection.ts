import { randomUUID } from 'node:crypto';
import type { AdditionalConfig, JsonObject } from '../auth-modes/auth-mode.ts';
import {
  assertConfig,
  authModeOf,
  configOf,
  integrationNamed,
  parseConfig,
  sealCredentials,
  throwNotFound,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { toPublicConnection, type PublicConnection } from '../connections/public-connection.ts';
import { NangoError } from '../errors/nango-error.ts';
import { scheduleOf } from '../refresh/refresh-schedule.ts';
import type { ConnectionKey } from '../store/store.ts';
import { parseCredentials } from './parse-credentials.ts';
import type { Secret } from '../vault/secret.ts';

/** A connection that an application registers. The credentials are not checked yet. */
export interface Registration {
  readonly key: ConnectionKey;
  readonly credentials: Secret<JsonObject>;
  readonly additionalConfig?: AdditionalConfig | undefined;
}

/**
 * Stores a connection with credentials from the application. Throws `connection_exists` if the user has one, and the
 * errors of {@link parseCredentials}. If it throws, nothing is stored.
 */
export async function registerConnection(
  { key, credentials, additionalConfig = {} }: Registration,
  context: ConnectionContext,
): Promise<PublicConnection> {
  assertConfig(integrationNamed(key.integration, context), additionalConfig);
  const sealed = await acceptAndSeal({ key, credentials, additionalConfig }, context);
  const row = await context.store.insertConnection({
    ...key,
    ...sealed,
    uuid: randomUUID(),
    additionalConfig: JSON.stringify(additionalConfig),
  });
  if (row) return toPublicConnection(row);
  throw new NangoError(
    'connection_exists',
    `User "${key.userId}" already has a connection to "${key.integration}". ` +
      'Use updateConnectionCredentials to replace its credentials.',
  );
}

/** Replaces a connection's credentials. Throws `connection_not_found`, and the errors of {@link parseCredentials}. */
export async function replaceCredentials(
  { key, credentials }: Omit<Registration, 'additionalConfig'>,
  context: ConnectionContext,
): Promise<PublicConnection> {
  const row = (await context.store.findConnection(key)) ?? throwNotFound(key);
  const additionalConfig = parseConfig(row.additionalConfig);
  const change = await acceptAndSeal({ key, credentials, additionalConfig }, context);
  return toPublicConnection((await context.store.updateCredentials(key, change)) ?? throwNotFound(key));
}

async function acceptAndSeal(
  { key, credentials: submitted, additionalConfig }: Required<Registration>,
  context: ConnectionContext,
) {
  const integration = integrationNamed(key.integration, context);
  const config = configOf(integration, additionalConfig ?? {});
  const credentials = await parseCredentials(
    { integration, credentials: submitted, config, from: 'application' },
    context,
  );
  const mode = authModeOf(integration);
  return {
    authMode: mode.name,
    sealedCredentials: sealCredentials(credentials, key, context.vault),
    ...scheduleOf(credentials, { mode, integration }, context),
    now: context.now(),
  };
}

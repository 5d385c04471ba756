import { z } from 'zod';
import type { AdditionalConfig, Integration } from '../auth-modes/auth-mode.ts';
import { INTERNAL_ERROR, NangoError } from '../errors/nango-error.ts';
import { hasTrait } from '../errors/registry.ts';
import type { ConnectAttemptRow, ConnectionKey } from '../store/store.ts';
import type { SealedPlace } from '../vault/vault.ts';
import { configOf, integrationNamed, parseConfig, type ConnectionContext } from '../connections/connection-context.ts';
import { withOAuthClient, type OAuthClient } from '../connections/oauth-client.ts';
import { splitClient } from './own-client.ts';
import { parseAttemptOptions } from './session-options.ts';
import { openJson, sealJson } from '../vault/sealed-json.ts';
import { Secret } from '../vault/secret.ts';

/** How long a user has from `connect()` to the callback, in milliseconds. */
export const ATTEMPT_LIFE_MS = 600_000;

const secretsSchema = z.record(
  z.string(),
  z.string().transform((text) => new Secret(text)),
);

/** Seals what an attempt needs in its callback. */
export function sealSecrets(
  secrets: Readonly<Record<string, Secret<string>>>,
  attemptHash: string,
  { vault }: ConnectionContext,
) {
  return sealJson(vault, secrets, secretsPlace(attemptHash));
}

/** Opens what {@link sealSecrets} sealed. Throws `invalid_state` if the attempt holds no secrets. */
export function openSecrets({ sealedSecrets, attemptHash }: ConnectAttemptRow, { vault }: ConnectionContext) {
  if (!sealedSecrets) throw invalidState();
  return openJson(vault, { sealed: sealedSecrets, place: secretsPlace(attemptHash), schema: secretsSchema });
}

/** The settings that `${config.x}` reads during an attempt. */
export async function attemptConfig(row: ConnectAttemptRow, context: ConnectionContext): Promise<AdditionalConfig> {
  return configOf(integrationNamed(row.integration, context), await additionalConfigOf(row, context));
}

/** The stored additionalConfig of the connection; empty if there is none. */
export async function storedConfig(key: ConnectionKey, { store }: ConnectionContext): Promise<AdditionalConfig> {
  const existing = await store.findConnection(key);
  return existing ? parseConfig(existing.additionalConfig) : {};
}

/**
 * Returns the Integration of an attempt, with the scopes to ask for, and with the customer's own OAuth app if the
 * attempt has one.
 */
export function attemptIntegration(row: ConnectAttemptRow, context: ConnectionContext): Integration {
  const integration = withOAuthClient(integrationNamed(row.integration, context), attemptClient(row, context));
  const { scopes } = parseAttemptOptions(row.options);
  return scopes ? { ...integration, oauthScopes: scopes } : integration;
}

/** Returns the customer's own OAuth app of an attempt; undefined if it has none. Throws `credentials_unreadable`. */
export function attemptClient(row: ConnectAttemptRow, context: ConnectionContext): OAuthClient | undefined {
  return row.sealedSecrets === null ? undefined : splitClient(openSecrets(row, context)).client;
}

/** Runs a step. If it fails, stores the error with the attempt, where the page's SDK reads it, and throws it again. */
export async function failAttemptOnError<T>(
  row: ConnectAttemptRow,
  step: () => Promise<T>,
  { log, store }: ConnectionContext,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    log.warn({ integration: row.integration, err: error }, 'connect attempt failed');
    // If the database is down as well, the attempt ends by its age. The first error is the one to report.
    await store.failAttempt(row.attemptHash, publicError(error)).catch(() => undefined);
    throw error;
  }
}

/** Returns an error as the page that began the attempt may see it. */
export function publicError(error: unknown): { type: string; message: string } {
  if (error instanceof NangoError && hasTrait(error.code, 'page')) return { type: error.code, message: error.message };
  if (error instanceof NangoError && hasTrait(error.code, 'network'))
    return { type: 'token_exchange_failed', message: error.message };
  return INTERNAL_ERROR;
}

/** Returns the error for an attempt that was used, has expired or is unknown. */
export function invalidState(): NangoError {
  return new NangoError(
    'invalid_state',
    'This authorization was already used, has expired, or was not started on this server. ' +
      'Start again from the application.',
  );
}

/** The attempt's own additionalConfig, or else the connection's stored one. */
export async function additionalConfigOf(
  row: ConnectAttemptRow,
  context: ConnectionContext,
): Promise<AdditionalConfig> {
  return row.additionalConfig === null ? storedConfig(row, context) : parseConfig(row.additionalConfig);
}

function secretsPlace(attemptHash: string): SealedPlace {
  return { table: 'connect_attempts', row: attemptHash, column: 'sealed_secrets' };
}

import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { AdditionalConfig, Authorized, BaseCredentials } from '../auth-modes/auth-mode.ts';
import { INTERNAL_ERROR, messageOf, NangoError } from '../errors/nango-error.ts';
import { hasTrait } from '../errors/registry.ts';
import type { ConnectAttemptRow, ConnectionKey, NewConnection } from '../store/store.ts';
import type { SealedPlace } from '../vault/vault.ts';
import {
  assertConfig,
  authModeOf,
  configOf,
  integrationNamed,
  parseConfig,
  sealCredentials,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { scheduleOf } from '../refresh/refresh-schedule.ts';
import { Secret, toRevealedJson } from '../vault/secret.ts';

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
  return vault.seal(toRevealedJson(secrets), secretsPlace(attemptHash));
}

/** Throws `invalid_state` for an attempt that holds no secrets, or no longer. */
export function openSecrets({ sealedSecrets, attemptHash }: ConnectAttemptRow, { vault }: ConnectionContext) {
  if (!sealedSecrets) throw spent();
  return secretsSchema.parse(JSON.parse(vault.open(sealedSecrets, secretsPlace(attemptHash))));
}

/** The settings that `${config.x}` reads during an attempt. */
export async function attemptConfig(row: ConnectAttemptRow, context: ConnectionContext): Promise<AdditionalConfig> {
  return configOf(integrationNamed(row.integration, context), await givenConfig(row, context));
}

/** The stored additionalConfig of the connection; empty if there is none. */
export async function storedConfig(key: ConnectionKey, { store }: ConnectionContext): Promise<AdditionalConfig> {
  const existing = await store.findConnection(key);
  return existing ? parseConfig(existing.additionalConfig) : {};
}

/** Stores the connection, with the config that the provider supplied, and ends the attempt. */
export async function storeAuthorized(
  row: ConnectAttemptRow,
  { credentials, config: brought }: Authorized<BaseCredentials>,
  context: ConnectionContext,
): Promise<void> {
  const merged = { ...(await givenConfig(row, context)), ...brought };
  try {
    assertConfig(integrationNamed(row.integration, context), merged);
  } catch (cause) {
    throw new NangoError(
      'provider_error',
      `The provider’s response does not fit the Integration. ${messageOf(cause)}`,
      { cause },
    );
  }
  const additionalConfig = Object.keys(brought).length > 0 ? JSON.stringify(merged) : row.additionalConfig;
  await context.store.completeAttempt(row.attemptHash, newConnection(row, { credentials, additionalConfig }, context));
  context.log.info({ integration: row.integration }, 'connection made');
}

/** A connection ready to be stored. `additionalConfig` is JSON; null = none, or on a reconnect the stored one. */
export function newConnection(
  { integration, userId }: ConnectionKey,
  { credentials, additionalConfig }: { credentials: BaseCredentials; additionalConfig: string | null },
  context: ConnectionContext,
): NewConnection {
  const key = { integration, userId };
  const target = integrationNamed(integration, context);
  const mode = authModeOf(target);
  return {
    ...key,
    uuid: randomUUID(),
    authMode: mode.name,
    sealedCredentials: sealCredentials(credentials, key, context.vault),
    additionalConfig,
    ...scheduleOf(credentials, { mode, integration: target }, context),
    now: context.now(),
  };
}

/** Runs a step. A failure is written to the attempt, where the page's SDK finds it, and thrown again. */
export async function failingAttempt<T>(
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

/** An error as the page that began the attempt may see it. */
export function publicError(error: unknown): { type: string; message: string } {
  if (error instanceof NangoError && hasTrait(error.code, 'page')) return { type: error.code, message: error.message };
  if (error instanceof NangoError && hasTrait(error.code, 'network'))
    return { type: 'token_exchange_failed', message: error.message };
  return INTERNAL_ERROR;
}

/** The error for an attempt that was used, has expired or is unknown. */
export function spent(): NangoError {
  return new NangoError(
    'invalid_state',
    'This authorization was already used, has expired, or was not begun here. Start again from the application.',
  );
}

async function givenConfig(row: ConnectAttemptRow, context: ConnectionContext): Promise<AdditionalConfig> {
  return row.additionalConfig === null ? storedConfig(row, context) : parseConfig(row.additionalConfig);
}

function secretsPlace(attemptHash: string): SealedPlace {
  return { table: 'connect_attempts', row: attemptHash, column: 'sealed_secrets' };
}

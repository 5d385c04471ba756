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
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { formatScopes } from '../connections/granted-scopes.ts';
import { createSeal } from '../connections/sealed-credentials.ts';
import { accountMismatch, isSameIdentity, revokeUnwanted } from './account-change.ts';
import { scheduleOf } from '../refresh/refresh-schedule.ts';
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

/** Stores the connection, with the config that the provider supplied, and ends the attempt. */
export async function storeAuthorized(
  row: ConnectAttemptRow,
  { credentials, config: supplied, ...authorized }: Authorized<BaseCredentials>,
  context: ConnectionContext,
): Promise<void> {
  const merged = { ...(await additionalConfigOf(row, context)), ...supplied };
  try {
    assertConfig(integrationNamed(row.integration, context), merged);
  } catch (cause) {
    throw new NangoError(
      'provider_error',
      `The provider’s response does not fit the Integration. ${messageOf(cause)}`,
      { cause },
    );
  }
  const additionalConfig = Object.keys(supplied).length > 0 ? JSON.stringify(merged) : row.additionalConfig;
  const { identity } = authorized;
  const { connectionId: replaces } = parseAttemptOptions(row.options);
  const connection = await newConnection(
    row,
    { credentials, additionalConfig, tags: row.tags, replaces, ...authorized },
    context,
  );
  const stored = await context.store.completeAttempt(row.attemptHash, connection, (earlier) =>
    isSameIdentity(earlier, identity),
  );
  if (!stored) {
    await revokeUnwanted(row, { credentials, config: merged, identity }, context);
    throw accountMismatch(identity);
  }
  context.log.info({ integration: row.integration }, 'connection made');
}

/** What a connection is built from. */
interface NewCredentials extends Pick<NewConnection, 'additionalConfig' | 'tags' | 'replaces'>, Partial<AuthorizedBy> {
  readonly credentials: BaseCredentials;
}

type AuthorizedBy = Pick<Authorized<BaseCredentials>, 'identity' | 'requestedScopes'>;

/** Builds a connection to be stored. */
export async function newConnection(
  { integration, userId, account }: ConnectionKey,
  { credentials, identity, requestedScopes, ...stored }: NewCredentials,
  context: ConnectionContext,
): Promise<NewConnection> {
  const key = { integration, userId, account };
  const target = integrationNamed(integration, context);
  const mode = authModeOf(target);
  return {
    ...key,
    id: randomUUID(),
    authMode: mode.name,
    seal: await createSeal(credentials, key, context),
    ...stored,
    grant: {
      identity: identity ?? null,
      requestedScopes: formatScopes(requestedScopes),
      grantedScopes: formatScopes(mode.scopes?.granted(credentials, target)),
    },
    ...scheduleOf(credentials, { mode, integration: target }, context),
    now: context.now(),
  };
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
async function additionalConfigOf(row: ConnectAttemptRow, context: ConnectionContext): Promise<AdditionalConfig> {
  return row.additionalConfig === null ? storedConfig(row, context) : parseConfig(row.additionalConfig);
}

function secretsPlace(attemptHash: string): SealedPlace {
  return { table: 'connect_attempts', row: attemptHash, column: 'sealed_secrets' };
}

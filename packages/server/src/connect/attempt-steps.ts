import { z } from 'zod';
import type { AdditionalConfig, AuthMode, Integration } from '../auth-modes/auth-mode.ts';
import { INTERNAL_ERROR, NangoError } from '../errors/nango-error.ts';
import { hasTrait } from '../errors/registry.ts';
import type { ConnectAttemptRow, ConnectionKey } from '../store/store.ts';
import type { SealedPlace } from '../vault/vault.ts';
import {
  authModeOf,
  configOf,
  integrationNamed,
  parseConfig,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { withOAuthClient, type OAuthClient } from '../connections/oauth-client.ts';
import { redirectUriOf } from './callback-url.ts';
import { splitClient } from './own-client.ts';
import { parseAttemptOptions, type AttemptOptions } from './session-options.ts';
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

/** An attempt, with everything that its steps use. */
export interface OpenAttempt {
  readonly row: ConnectAttemptRow;
  readonly options: AttemptOptions;
  /** The Integration, with the scopes to ask for, and with the customer's own OAuth app if the attempt has one. */
  readonly integration: Integration;
  readonly mode: AuthMode;
  /** The customer's own OAuth app; undefined = the Integration's client. */
  readonly oauthClient: OAuthClient | undefined;
  /** The attempt's own additionalConfig, or else the connection's stored one. */
  readonly additionalConfig: AdditionalConfig;
  /** The same with the Integration's defaults, as `${config.x}` reads it. */
  readonly config: AdditionalConfig;
  /** What an earlier step sealed for this one. */
  readonly secrets: Readonly<Record<string, Secret<string>>>;
  /** The redirect URI of the authorization request. The token request repeats it (RFC 6749 §4.1.3). */
  readonly redirectUri: string;
}

/**
 * Opens an attempt. No later step reads its Integration, settings or secrets again. Throws `unknown_integration`, and
 * `credentials_unreadable` for secrets that cannot be opened.
 */
export async function openAttempt(row: ConnectAttemptRow, context: ConnectionContext): Promise<OpenAttempt> {
  const options = parseAttemptOptions(row.options);
  const configured = integrationNamed(row.integration, context);
  const { client: oauthClient, secrets: opened } = splitClient(openSecrets(row, context));
  const { redirect_uri, ...secrets } = opened;
  const own = withOAuthClient(configured, oauthClient);
  const integration = options.scopes ? { ...own, oauthScopes: options.scopes } : own;
  const additionalConfig =
    row.additionalConfig === null ? await storedConfig(row, context) : parseConfig(row.additionalConfig);
  return {
    row,
    options,
    integration,
    mode: authModeOf(integration),
    oauthClient,
    additionalConfig,
    config: configOf(integration, additionalConfig),
    secrets,
    redirectUri: redirect_uri?.reveal() ?? redirectUriOf(integration, context),
  };
}

/** Opens what {@link sealSecrets} sealed; empty if nothing is sealed. */
function openSecrets(
  { sealedSecrets, attemptHash }: ConnectAttemptRow,
  { vault }: ConnectionContext,
): Readonly<Record<string, Secret<string>>> {
  if (!sealedSecrets) return {};
  return openJson(vault, { sealed: sealedSecrets, place: secretsPlace(attemptHash), schema: secretsSchema });
}

/** The stored additionalConfig of the connection; empty if there is none. */
export async function storedConfig(key: ConnectionKey, { store }: ConnectionContext): Promise<AdditionalConfig> {
  const existing = await store.findConnection(key);
  return existing ? parseConfig(existing.additionalConfig) : {};
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

function secretsPlace(attemptHash: string): SealedPlace {
  return { table: 'connect_attempts', row: attemptHash, column: 'sealed_secrets' };
}

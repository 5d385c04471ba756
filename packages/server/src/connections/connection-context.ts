import { z } from 'zod';
import type {
  AdditionalConfig,
  AuthMode,
  AuthModeContext,
  BaseCredentials,
  Integration,
  JsonValue,
} from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import type { Config } from '../config/load-config.ts';
import { additionalConfigSchema } from './connection-input.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { OAuthHttp } from '../oauth/oauth-http.ts';
import { jsonValue, parseExactJson } from '../formats/parse-json.ts';
import { promptedFields, inputProblems, withDefaults, type InputFields } from '../schema/input-fields.ts';
import { assertSecureUrl } from '../schema/loopback-host.ts';
import { suggest } from '../schema/suggest.ts';
import { connectionKeyText, type ConnectionKey, type ConnectionRow, type Store } from '../store/store.ts';
import type { SealedPlace, Vault } from '../vault/vault.ts';
import { toRevealedJson } from '../vault/secret.ts';

/** What all work on connections needs. `config` is called each time, so that a reload takes effect. */
export interface ConnectionContext extends Omit<AuthModeContext, 'http'> {
  readonly store: Store;
  readonly vault: Vault;
  readonly config: () => Config;
  /** Reaches any address. {@link modeContext} decides which requests may use it. */
  readonly unguardedHttp: OAuthHttp;
  /** Reaches public addresses only. */
  readonly guardedHttp: OAuthHttp;
  readonly log: Log;
  /** Resolves after this many milliseconds. */
  readonly delay: (milliseconds: number) => Promise<unknown>;
  /** From 0 to 1, to spread work. */
  readonly random: () => number;
  /** Called with the outcome of each refresh. */
  readonly onRefresh: (integration: string, outcome: RefreshOutcome) => void;
}

/** The outcome of a refresh; `superseded` if a reconnect, a delete or another server came first. */
export type RefreshOutcome = 'renewed' | 'superseded' | 'failed' | 'needs_reconnect';

/** Reports to the operator. It never receives a secret. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A connection with everything that is needed to use it. */
export interface OpenConnection {
  readonly row: ConnectionRow;
  readonly integration: Integration;
  readonly mode: AuthMode;
  readonly credentials: BaseCredentials;
  readonly config: AdditionalConfig;
}

/** Throws `unknown_integration`, and suggests a name. */
export function integrationNamed(name: string, { config }: Pick<ConnectionContext, 'config'>): Integration {
  const { integrations } = config();
  const integration = integrations.get(name);
  if (integration) return integration;
  throw new NangoError(
    'unknown_integration',
    `integrations.yaml has no integration "${name}".${suggest(name, integrations.keys())}`,
  );
}

/** Throws `connection_not_found`. */
export function throwNotFound({ integration, userId }: ConnectionKey): never {
  throw new NangoError('connection_not_found', `User "${userId}" has no connection to "${integration}".`);
}

export function authModeOf(integration: Integration): AuthMode {
  const mode = AUTH_MODES.get(integration.auth.auth_mode);
  if (!mode) throw new NangoError('unsupported_auth_mode', `auth_mode ${integration.auth.auth_mode} is unknown.`);
  return mode;
}

/**
 * The context of an auth mode for one Integration. Requests are guarded unless the configuration names their origin:
 * any other origin comes from a connection, a metadata document or a response.
 */
export function modeContext(integration: Integration, context: ConnectionContext): AuthModeContext {
  const { isGuarded, configuredOrigins, allowHttp, auth } = integration;
  const maxBytes = auth.max_response_bytes;
  const http: OAuthHttp = async (call) => {
    const url = new URL(call.url);
    assertSecureUrl(url, { allowHttp, source: `The Integration "${integration.name}"`, code: 'provider_error' });
    const send = !isGuarded && configuredOrigins.has(url.origin) ? context.unguardedHttp : context.guardedHttp;
    return send(maxBytes === undefined ? call : { maxBytes, ...call });
  };
  return { ...context, http };
}

/**
 * The owner of the HTTP/1.1 sockets for a connection's requests: the connection, unless the Integration's owner trusts
 * the API.
 */
export function socketOwner({ integration, row }: Pick<OpenConnection, 'integration' | 'row'>): string {
  return integration.shareSockets ? `integration ${integration.name}` : row.uuid;
}

/** Seals credentials for the row of their key. */
export function sealCredentials(credentials: BaseCredentials, key: ConnectionKey, vault: Vault): Uint8Array {
  return vault.seal(toRevealedJson(credentials), credentialsPlace(key));
}

/**
 * Opens a row. Throws `needs_reconnect` if the Integration's auth_mode has changed, `credentials_unreadable` if the row
 * is damaged.
 */
export function openConnection(row: ConnectionRow, context: ConnectionContext): OpenConnection {
  const integration = integrationNamed(row.integration, context);
  const mode = authModeOf(integration);
  if (mode.name !== row.authMode) {
    throw new NangoError(
      'needs_reconnect',
      `This connection was made with auth_mode ${row.authMode}, but "${row.integration}" now uses ${mode.name}.`,
    );
  }
  return {
    row,
    integration,
    mode,
    credentials: mode.storedCredentials.parse(openStoredCredentials(row, context.vault)),
    config: configOf(integration, parseConfig(row.additionalConfig)),
  };
}

/** Opens a row's credentials. Throws `credentials_unreadable`. */
export function openStoredCredentials(
  row: Pick<ConnectionRow, 'integration' | 'userId' | 'sealedCredentials'>,
  vault: Vault,
): Record<string, JsonValue> {
  return storedCredentialsSchema.parse(parseExactJson(vault.open(row.sealedCredentials, credentialsPlace(row))));
}

const storedCredentialsSchema = z.record(z.string(), jsonValue);

/**
 * The settings that `${config.x}` reads. The connection's own values take precedence over the Integration's defaults.
 */
export function configOf({ configFields }: Integration, additionalConfig: AdditionalConfig): AdditionalConfig {
  return withDefaults(configFields, additionalConfig);
}

/**
 * Fields of `config` that a user, or the application on behalf of the user, has to supply: neither set by the
 * Integration nor supplied by the provider.
 */
export function askedConfig(integration: Integration): InputFields {
  const { authorization } = authModeOf(integration);
  const told = authorization?.applies(integration) ? authorization.bringsConfig(integration) : [];
  return Object.fromEntries(
    Object.entries(promptedFields(integration.configFields)).filter(([name]) => !told.includes(name)),
  );
}

/**
 * Checks `additionalConfig` against the Integration's `config`. The provider will supply the names in `later`. Throws
 * `invalid_request`, which names every field.
 */
export function assertConfig(
  integration: Integration,
  additionalConfig: AdditionalConfig,
  later: readonly string[] = [],
): void {
  const fields = Object.entries(promptedFields(integration.configFields)).filter(
    ([field]) => Object.hasOwn(additionalConfig, field) || !later.includes(field),
  );
  const problems = inputProblems(Object.fromEntries(fields), additionalConfig);
  if (problems.length === 0) return;
  throw new NangoError(
    'invalid_request',
    `A connection to "${integration.name}" needs additionalConfig: ${problems.join('; ')}.`,
  );
}

/** Parses a stored `additionalConfig`. */
export function parseConfig(json: string): AdditionalConfig {
  return additionalConfigSchema.parse(parseExactJson(json));
}

// The key names the row, and not the uuid: a reconnect replaces the credentials of a row without reading its uuid.
function credentialsPlace(key: ConnectionKey): SealedPlace {
  return { table: 'connections', row: connectionKeyText(key), column: 'sealed_credentials' };
}

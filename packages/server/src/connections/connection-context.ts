import type {
  AdditionalConfig,
  AuthMode,
  AuthModeContext,
  BaseCredentials,
  Integration,
} from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import type { Config } from '../config/load-config.ts';
import { additionalConfigSchema, parseTags, type Tags } from './connection-input.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { OAuthHttp } from '../oauth/oauth-http.ts';
import { revealText } from '../vault/secret.ts';
import { parseExactJson } from '../formats/parse-json.ts';
import {
  backEndFields,
  inputProblems,
  promptedFields,
  withDefaults,
  type InputFields,
} from '../schema/input-fields.ts';
import { assertSecureUrl } from '../schema/loopback-host.ts';
import { suggest } from '../schema/suggest.ts';
import type { ConnectionRow, Store } from '../store/store.ts';
import type { Vault } from '../vault/vault.ts';
import { withOAuthClient, type OAuthClient } from './oauth-client.ts';
import { openCredentials, openOAuthClient } from './sealed-credentials.ts';

/** The parts that all work on connections needs. `config` is called each time, so that a reload takes effect. */
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
  /** The Integration, with the customer's own OAuth app as its client if the connection has one. */
  readonly integration: Integration;
  /** The Integration as `integrations.yaml` has it. */
  readonly configured: Integration;
  readonly oauthClient: OAuthClient | undefined;
  readonly mode: AuthMode;
  readonly credentials: BaseCredentials;
  readonly config: AdditionalConfig;
  /** Undefined if the connection has none. */
  readonly tags: Tags | undefined;
}

/** Returns the Integration of a name. Throws `unknown_integration`, which suggests a name. */
export function integrationNamed(name: string, { config }: Pick<ConnectionContext, 'config'>): Integration {
  const { integrations } = config();
  const integration = integrations.get(name);
  if (integration) return integration;
  throw new NangoError(
    'unknown_integration',
    `integrations.yaml has no integration "${name}".${suggest(name, integrations.keys())}`,
  );
}

/** Returns the auth mode of an Integration. Throws `unsupported_auth_mode`. */
export function authModeOf(integration: Integration): AuthMode {
  const mode = AUTH_MODES.get(integration.auth.auth_mode);
  if (!mode) throw new NangoError('unsupported_auth_mode', `auth_mode ${integration.auth.auth_mode} is unknown.`);
  return mode;
}

/**
 * Returns the context of an auth mode for one Integration. Requests are guarded unless the configuration names their
 * origin: any other origin comes from a connection, a metadata document or a response.
 */
export function modeContext(integration: Integration, context: ConnectionContext): AuthModeContext {
  const { isGuarded, configuredOrigins, allowHttp, auth } = integration;
  const maxBytes = auth.max_response_bytes;
  const http: OAuthHttp = async (call) => {
    const url = new URL(revealText(call.url));
    assertSecureUrl(url, { allowHttp, source: `A request of "${integration.name}"`, code: 'provider_error' });
    const send = !isGuarded && configuredOrigins.has(url.origin) ? context.unguardedHttp : context.guardedHttp;
    return send(maxBytes === undefined ? call : { maxBytes, ...call });
  };
  return { ...context, http };
}

/**
 * Names the owner of the HTTP/1.1 sockets for a connection's requests. The owner is the connection, unless the
 * Integration shares its sockets.
 */
export function socketOwner({ integration, row }: Pick<OpenConnection, 'integration' | 'row'>): string {
  return integration.shareSockets ? `integration ${integration.name}` : row.id;
}

/**
 * Opens a row. Throws `needs_reconnect` if the Integration's auth_mode has changed, `credentials_unreadable` if the row
 * is damaged.
 */
export function openConnection(row: ConnectionRow, context: ConnectionContext): OpenConnection {
  const configured = integrationNamed(row.integration, context);
  const mode = authModeOf(configured);
  if (mode.name !== row.authMode) {
    throw new NangoError(
      'needs_reconnect',
      `This connection was made with auth_mode ${row.authMode}, but "${row.integration}" now uses ${mode.name}. ` +
        'The user has to connect again.',
    );
  }
  const oauthClient = openOAuthClient(row, context.vault);
  const integration = withOAuthClient(configured, oauthClient);
  return {
    row,
    integration,
    configured,
    oauthClient,
    mode,
    credentials: openCredentials(row, { vault: context.vault, schema: mode.storedCredentials }),
    config: configOf(integration, parseConfig(row.additionalConfig)),
    tags: row.tags === '{}' ? undefined : parseTags(row.tags),
  };
}

/**
 * The settings that `${config.x}` reads. The connection's own values take precedence over the Integration's defaults.
 */
export function configOf({ configFields }: Integration, additionalConfig: AdditionalConfig): AdditionalConfig {
  return withDefaults(configFields, additionalConfig);
}

/**
 * Fields of `config` that a user, or the application on behalf of the user, has to supply. Neither the Integration, the
 * back end nor the provider supplies them.
 */
export function askedConfig(integration: Integration): InputFields {
  const { authorization } = authModeOf(integration);
  const { configFields } = integration;
  const supplied = authorization?.applies(integration) ? authorization.suppliedConfig(integration) : [];
  const others = new Set([...supplied, ...backEndFields(configFields)]);
  return Object.fromEntries(Object.entries(promptedFields(configFields)).filter(([name]) => !others.has(name)));
}

/**
 * Checks `additionalConfig` against the Integration's `config`. The provider will supply the names in `later`. Throws
 * `invalid_request`, which names every invalid field.
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

import { backEndFields, type InputFields } from '../schema/input-fields.ts';
import type { AdditionalConfig, BaseCredentials, Integration, JsonObject } from '../auth-modes/auth-mode.ts';
import {
  assertConfig,
  authModeOf,
  configOf,
  integrationNamed,
  modeContext,
  parseConfig,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { findReferenced } from '../connections/connection-reference.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionKey } from '../store/store.ts';
import { Secret } from '../vault/secret.ts';
import { assertMayHaveAccount } from './accounts.ts';
import { withOAuthClient, type OAuthClient } from '../connections/oauth-client.ts';
import { openOAuthClient } from '../connections/sealed-credentials.ts';
import { ATTEMPT_LIFE_MS, sealSecrets } from './attempt-steps.ts';
import { assertSecretStays, clientSecrets } from './own-client.ts';
import { attemptScopes } from './requested-scopes.ts';
import { storeConnection } from './store-connection.ts';
import {
  assertMayConnect,
  assertMayReconnect,
  hashToken,
  type AttemptRequester,
  type ConnectRequest,
  type PermittedConnect,
} from './connect-sessions.ts';
import { parseCredentials } from './parse-credentials.ts';
import { assertAllowedRedirectUrl } from './redirects.ts';
import { storedOptions, type AttemptOptions, type SessionOptions } from './session-options.ts';

/** A request to connect a user's account, or an existing connection again. */
export type AttemptRequest = (ConnectRequest | { readonly connectionId: string }) & AttemptInput;

/** What a page sends with such a request. */
interface AttemptInput {
  readonly additionalConfig?: AdditionalConfig | undefined;
  /** Prompted credentials, for modes without a browser flow. */
  readonly credentials?: Secret<JsonObject> | undefined;
  /** Where the browser goes afterwards; undefined = the page opens a window of its own. */
  readonly redirectUrl?: string | undefined;
  readonly requester: AttemptRequester;
}

/** A new attempt. `expiresAt` is in milliseconds since the epoch. */
export interface CreatedAttempt extends ConnectionKey {
  /** Opens the attempt once, and identifies it when its result is read: 256 random bits. */
  readonly attempt: Secret<string>;
  readonly expiresAt: number;
  /** The page that began the attempt sends it to our page in its popup, as a proof. It is never part of a URL. */
  readonly nonce: Secret<string> | undefined;
  /** `succeeded` if the provider needed no user. */
  readonly status: 'pending' | 'succeeded';
}

/** What begins an attempt, and what it adds to what its session permits. */
interface AttemptSource extends Pick<AttemptInput, 'additionalConfig' | 'credentials' | 'redirectUrl'> {
  /** The origin of the page; null = no page receives the result. */
  readonly origin: string | null;
  /** Undefined = the beginning needs no proof. */
  readonly nonce?: Secret<string> | undefined;
  /** The token hash of the session whose link begins the attempt; undefined = a page does. */
  readonly sessionHash?: string | null;
}

/** Creates an attempt for a user who may connect. If the provider needs no user, the connection is made at once. */
export async function createAttempt(
  { requester, additionalConfig, credentials, redirectUrl, ...request }: AttemptRequest,
  context: ConnectionContext,
): Promise<CreatedAttempt> {
  const permitted =
    'connectionId' in request
      ? await assertMayReconnect(request.connectionId, requester, context)
      : await assertMayConnect(request, requester, context);
  // Without a token, the server serves one developer on this machine.
  const nonce = requester.token === undefined ? undefined : new Secret(context.randomToken());
  const input = { additionalConfig, credentials, redirectUrl, nonce, origin: requester.origin ?? null };
  return createPermittedAttempt(permitted, input, context);
}

/** Creates an attempt that a session permits. */
export async function createPermittedAttempt(
  permitted: PermittedConnect,
  source: AttemptSource,
  context: ConnectionContext,
): Promise<CreatedAttempt> {
  const { key, tags } = permitted;
  const plan = await planAttempt(permitted, source, context);
  const { integration, config, additionalConfig, options, oauthClient } = plan;
  const { credentials, origin, nonce, sessionHash = null } = source;
  const issued = await credentialsWithoutBrowser(integration, { credentials, config }, context);
  const attempt = new Secret(context.randomToken());
  const attemptHash = hashToken(attempt);
  const now = context.now();
  const expiresAt = now + ATTEMPT_LIFE_MS;
  await context.store.insertAttempt({
    ...key,
    attemptHash,
    origin,
    nonceHash: nonce === undefined ? null : hashToken(nonce),
    additionalConfig,
    tags,
    options: storedOptions(options),
    sessionHash,
    sealedSecrets: oauthClient ? sealSecrets(clientSecrets(oauthClient), attemptHash, context) : null,
    now,
    expiresAt,
  });
  if (issued) {
    const row = { ...key, attemptHash, tags };
    const connection = { integration, credentials: issued, additionalConfig, options, oauthClient };
    await storeConnection(row, connection, context);
  }
  return { ...key, attempt, nonce, expiresAt, status: issued ? 'succeeded' : 'pending' };
}

/** What an attempt will use. */
interface AttemptPlan {
  readonly integration: Integration;
  readonly oauthClient: OAuthClient | undefined;
  readonly options: AttemptOptions;
  /** JSON; null = that of the existing connection. */
  readonly additionalConfig: string | null;
  readonly config: AdditionalConfig;
}

/** Decides what an attempt will use: values of the session, the page and the existing connection, in this order. */
async function planAttempt(
  { key, oauthClient: sessionClient, options: { additionalConfig, scopes, ...sessionOptions } }: PermittedConnect,
  { additionalConfig: page, redirectUrl: pageUrl, credentials, sessionHash = null }: AttemptSource,
  context: ConnectionContext,
): Promise<AttemptPlan> {
  await assertStillConnected(sessionOptions, context);
  await assertMayHaveAccount(key, context);
  const existing = await context.store.findConnection(key);
  const stored = existing ? parseConfig(existing.additionalConfig) : {};
  const session = additionalConfig?.[key.integration];
  // A connection keeps its own OAuth app. It never falls back to the Integration's client.
  const oauthClient = sessionClient ?? (existing && openOAuthClient(existing, context.vault));
  const integration = withOAuthClient(integrationNamed(key.integration, context), oauthClient);
  assertConfirmable(integration, sessionOptions, credentials);
  const options = {
    ...sessionOptions,
    ...attemptScopes(integration, { chosen: scopes?.[key.integration], existing }),
    ...chosenRedirect(sessionOptions, { pageUrl, sessionHash }, context),
  };
  assertFromPage(page, integration);
  const { configFields } = integration;
  const chosen = chosenConfig({ page, session, stored, configFields });
  const ownConfig = chosen ?? stored;
  assertConfig(integration, ownConfig, authModeOf(integration).authorization?.suppliedConfig(integration));
  if (oauthClient) {
    const fixed = { ...(sessionClient ? {} : stored), ...session };
    assertSecretStays(integration, { config: ownConfig, fixed });
  }
  const json = chosen ? JSON.stringify(chosen) : null;
  return { integration, oauthClient, options, additionalConfig: json, config: configOf(integration, ownConfig) };
}

/** Throws `connection_not_found` if the connection that is to be connected again was deleted. */
async function assertStillConnected({ connectionId }: AttemptOptions, context: ConnectionContext): Promise<void> {
  if (connectionId !== undefined) await findReferenced({ connectionId, integration: undefined }, context);
}

/**
 * Where the browser goes afterwards: to the URL of the session, else of the page. If a page opens a window of its own,
 * that window shows the result, unless the back end has to confirm it. Throws `invalid_request` for a URL that is not
 * allowed.
 */
function chosenRedirect(
  { redirectUrl: sessionUrl, confirm = false }: SessionOptions,
  { pageUrl, sessionHash }: { pageUrl: string | undefined; sessionHash: string | null },
  context: ConnectionContext,
): Pick<AttemptOptions, 'redirectUrl' | 'returnsFailures'> {
  const returns = pageUrl !== undefined || sessionHash !== null || confirm;
  const redirectUrl = returns ? (sessionUrl ?? pageUrl) : undefined;
  if (redirectUrl !== undefined) assertAllowedRedirectUrl(redirectUrl, context);
  return { redirectUrl, returnsFailures: pageUrl !== undefined };
}

/** Throws `unsupported_auth_mode` for a connection that no browser makes, but that the back end has to confirm. */
function assertConfirmable(
  integration: Integration,
  { confirm = false }: SessionOptions,
  credentials: Secret<JsonObject> | undefined,
): void {
  const { authorization, issuance } = authModeOf(integration);
  const usesBrowser = !issuance?.applies(integration) && authorization?.applies(integration);
  if (!confirm || (credentials === undefined && usesBrowser)) return;
  throw new NangoError(
    'unsupported_auth_mode',
    `"${integration.name}" needs no authorization in a browser, so a session with confirm cannot connect it.`,
  );
}

/** The settings that a page or a session chose. Those of the session take precedence. Undefined = neither chose any. */
function chosenConfig({
  page,
  session,
  stored,
  configFields,
}: {
  page: AdditionalConfig | undefined;
  session: AdditionalConfig | undefined;
  stored: AdditionalConfig;
  configFields: InputFields;
}): AdditionalConfig | undefined {
  if (page === undefined) return session && { ...stored, ...session };
  // A page replaces the settings of an earlier connection, except for those that it cannot supply.
  const kept = backEndFields(configFields).filter((name) => Object.hasOwn(stored, name));
  return { ...page, ...Object.fromEntries(kept.map((name) => [name, stored[name] ?? null])), ...session };
}

/** Throws `invalid_request` if a page supplies a setting that only a back end may supply. */
function assertFromPage(page: AdditionalConfig = {}, { name, configFields }: Integration): void {
  const other = backEndFields(configFields).find((field) => Object.hasOwn(page, field));
  if (other === undefined) return;
  throw new NangoError(
    'invalid_request',
    `A page cannot set config.${other} of "${name}". Your back end sets it with ` +
      `createConnectSession({ additionalConfig: { "${name}": { ${other} } } }).`,
  );
}

/**
 * Obtains prompted or issued credentials, which need no browser. Undefined if the user must authorize in a browser.
 */
async function credentialsWithoutBrowser(
  integration: Integration,
  { credentials, config }: { credentials: Secret<JsonObject> | undefined; config: AdditionalConfig },
  context: ConnectionContext,
): Promise<BaseCredentials | undefined> {
  const { authorization, prompted, issuance } = authModeOf(integration);
  if (credentials !== undefined) return parseCredentials({ integration, credentials, config, from: 'page' }, context);
  if (issuance?.applies(integration)) return issuance.issue({ integration, config }, modeContext(integration, context));
  if (authorization?.applies(integration)) return undefined;
  const names = Object.keys(prompted?.fields(integration) ?? {}).join(', ');
  throw new NangoError(
    'invalid_credentials',
    `"${integration.name}" prompts its user for ${names || 'credentials'}: ` +
      `connect('${integration.name}', userId, { credentials: { ${names} } }).`,
  );
}

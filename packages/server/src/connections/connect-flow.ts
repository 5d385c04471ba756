import { randomUUID, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { AdditionalConfig, BaseCredentials } from '../auth-modes/auth-mode.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectAttemptRow, ConnectionKey, NewConnection } from '../store/store.ts';
import type { SealedPlace } from '../vault/vault.ts';
import {
  authModeOf,
  integrationNamed,
  parseConfig,
  sealCredentials,
  type ConnectionContext,
} from './connection-context.ts';
import { assertMayConnect, hashToken, type AttemptRequester } from './connect-sessions.ts';
import { parseCredentials } from './parse-credentials.ts';

/** How long a user has from `connect()` to the callback, in milliseconds. */
export const ATTEMPT_LIFE_MS = 600_000;
// Types the page's SDK documents; anything else is our own affair and reaches it as internal_error.
const PUBLIC_ERRORS = new Set([
  'access_denied',
  'provider_error',
  'token_exchange_failed',
  'invalid_state',
  'unknown_integration',
  'invalid_value',
  'store_unavailable',
]);

export interface AttemptRequest extends ConnectionKey {
  readonly additionalConfig?: AdditionalConfig | undefined;
  /** What the user typed in, for modes without a browser flow. */
  readonly credentials?: unknown;
  readonly requester: AttemptRequester;
}

export interface CreatedAttempt {
  /** Opens the attempt once, and tells its result: 256 random bits. */
  readonly attempt: string;
  readonly expiresAt: number;
  /** `succeeded` where the provider needed no user. */
  readonly status: 'pending' | 'succeeded';
}

/** The browser's way to the authorization server. */
export interface BegunAttempt {
  readonly authorizationUrl: string;
  readonly cookie: { readonly name: string; readonly value: string };
}

/** How an attempt stands. */
export interface AttemptResult extends ConnectionKey {
  readonly status: 'pending' | 'succeeded' | 'failed';
  readonly error: { readonly type: string; readonly message: string } | null;
  /** The only origin the result may be posted to; null = none. */
  readonly origin: string | null;
}

/** A callback as it arrived. */
export interface Callback {
  /** Undefined where a parameter was repeated, which no authorization server does (RFC 6749 §3.1). */
  readonly params: ReadonlyMap<string, string> | undefined;
  readonly cookies: ReadonlyMap<string, string>;
}

/** Takes a user from `connect()` to a stored connection: one attempt, one state, one browser. */
export class ConnectFlow {
  readonly #context: ConnectionContext;

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  /** Creates an attempt for a user who may connect. Where the provider needs no user, the connection is made at once. */
  async create({
    integration,
    userId,
    additionalConfig,
    credentials,
    requester,
  }: AttemptRequest): Promise<CreatedAttempt> {
    const { store, now, randomToken } = this.#context;
    const key = { integration, userId };
    await assertMayConnect(key, requester, this.#context);
    const mode = authModeOf(integrationNamed(integration, this.#context));
    const given = { credentials, additionalConfig };
    const issued = (await this.#enter(key, given)) ?? (await this.#issue(key, additionalConfig));
    if (!issued && !mode.authorization) {
      throw new NangoError(
        'invalid_credentials',
        `"${integration}" has auth_mode ${mode.name}: connect('${integration}', userId, { credentials: { … } }) registers what the user typed in.`,
      );
    }
    const attempt = randomToken();
    const expiresAt = now() + ATTEMPT_LIFE_MS;
    const json = additionalConfig ? JSON.stringify(additionalConfig) : null;
    await store.insertAttempt({
      ...key,
      attemptHash: hashToken(attempt),
      origin: requester.origin ?? null,
      additionalConfig: json,
      now: now(),
      expiresAt,
    });
    if (issued) await store.completeAttempt(hashToken(attempt), this.#newConnection(key, issued, json));
    return { attempt, expiresAt, status: issued ? 'succeeded' : 'pending' };
  }

  /** Binds the attempt to the browser that comes, once. Throws `invalid_state` for an attempt that is used or expired. */
  async begin(attempt: string, redirectUri: string): Promise<BegunAttempt> {
    const { store, now, randomToken, vault } = this.#context;
    const attemptHash = hashToken(attempt);
    const row = await store.findAttempt(attemptHash);
    if (row?.status !== 'created') throw spent();
    const integration = integrationNamed(row.integration, this.#context);
    const { authorization } = authModeOf(integration);
    if (!authorization)
      throw new NangoError('unsupported_auth_mode', `"${row.integration}" needs no authorization in a browser.`);
    const state = randomToken();
    const browser = randomToken();
    const begun = await this.#failing(row, async () =>
      authorization.begin({ integration, config: await this.#configOf(row), state, redirectUri }, this.#context),
    );
    const sealedSecrets = vault.seal(
      JSON.stringify({ ...begun.secrets, redirect_uri: redirectUri }),
      secretsPlace(attemptHash),
    );
    const bound = await store.beginAttempt(attemptHash, {
      stateHash: hashToken(state),
      browserHash: hashToken(browser),
      sealedSecrets,
      now: now(),
    });
    if (!bound) throw spent();
    return { authorizationUrl: begun.authorizationUrl, cookie: { name: cookieName(state), value: browser } };
  }

  /** Whether the callback of this state may arrive as a form POST. */
  async acceptsFormPost(state: string): Promise<boolean> {
    const row = await this.#context.store.findAttemptByState(hashToken(state));
    if (!row) return false;
    const integration = integrationNamed(row.integration, this.#context);
    return authModeOf(integration).authorization?.usesFormPost(integration) ?? false;
  }

  /**
   * Ends an attempt with the authorization server's answer. The state is spent before anything else happens, so of two
   * callbacks one wins; a browser other than the one that began ends it for good (RFC 9700 §4.7).
   * Throws `invalid_state` when there is no such attempt; otherwise the result says how it went.
   */
  async complete({ params, cookies }: Callback): Promise<AttemptResult> {
    const { store, now } = this.#context;
    const state = params?.get('state') ?? '';
    const row = state === '' || state.length > 512 ? undefined : await store.takeAttempt(hashToken(state), now());
    if (!row || !params) throw spent();
    if (!isSameBrowser(row, cookies.get(cookieName(state)))) {
      const error = {
        type: 'invalid_state',
        message: 'The authorization was finished in another browser than it was begun in.',
      };
      await store.failAttempt(row.attemptHash, error);
      return { ...toResult(row), status: 'failed', error, origin: null };
    }
    try {
      await this.#failing(row, async () => {
        const credentials = await this.#exchange(row, params);
        await store.completeAttempt(row.attemptHash, this.#newConnection(row, credentials, row.additionalConfig));
      });
      this.#context.log.info({ integration: row.integration }, 'connection made');
      return { ...toResult(row), status: 'succeeded' };
    } catch (error) {
      return { ...toResult(row), status: 'failed', error: publicError(error) };
    }
  }

  /** How an attempt stands, for the page that began it. Undefined when there is no such attempt. */
  async result(attempt: string): Promise<AttemptResult | undefined> {
    const row = await this.#context.store.findAttempt(hashToken(attempt));
    if (!row) return undefined;
    const expired = row.expiresAt <= this.#context.now() && row.status !== 'succeeded' && row.status !== 'failed';
    return expired
      ? { ...toResult(row), status: 'failed', error: { type: 'timeout', message: 'The user did not finish in time.' } }
      : toResult(row);
  }

  /** Credentials that the page hands over; undefined where it hands over none. */
  async #enter(
    key: ConnectionKey,
    { credentials, additionalConfig }: Pick<AttemptRequest, 'credentials' | 'additionalConfig'>,
  ): Promise<BaseCredentials | undefined> {
    if (credentials === undefined) return undefined;
    const integration = integrationNamed(key.integration, this.#context);
    const { entered, name } = authModeOf(integration);
    // A page must not be able to plant tokens where the provider is to vouch for the account.
    if (!entered)
      throw new NangoError('invalid_credentials', `With auth_mode ${name}, connect() takes no credentials.`);
    const config = additionalConfig ?? (await this.#storedConfig(key));
    return parseCredentials({ integration, credentials, config }, this.#context);
  }

  async #issue(key: ConnectionKey, given: AdditionalConfig | undefined): Promise<BaseCredentials | undefined> {
    const integration = integrationNamed(key.integration, this.#context);
    const { issuance } = authModeOf(integration);
    if (!issuance?.applies(integration)) return undefined;
    return issuance.issue({ integration, config: given ?? (await this.#storedConfig(key)) }, this.#context);
  }

  async #exchange(row: ConnectAttemptRow, callback: ReadonlyMap<string, string>): Promise<BaseCredentials> {
    const integration = integrationNamed(row.integration, this.#context);
    const { authorization } = authModeOf(integration);
    if (!authorization || !row.sealedSecrets) throw spent();
    const sealed: unknown = JSON.parse(this.#context.vault.open(row.sealedSecrets, secretsPlace(row.attemptHash)));
    const { redirect_uri: redirectUri = '', ...secrets } = secretsSchema.parse(sealed);
    return authorization.complete(
      { integration, config: await this.#configOf(row), callback, secrets, redirectUri },
      this.#context,
    );
  }

  /** Runs a step; a failure is written to the attempt, where the page's SDK finds it, and thrown on. */
  async #failing<T>(row: ConnectAttemptRow, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      this.#context.log.warn({ integration: row.integration, err: error }, 'connect attempt failed');
      // Should the database be away as well, the attempt ends by its age, and the first error is the one to tell.
      await this.#context.store.failAttempt(row.attemptHash, publicError(error)).catch(() => undefined);
      throw error;
    }
  }

  async #configOf(row: ConnectAttemptRow): Promise<AdditionalConfig> {
    return row.additionalConfig === null ? this.#storedConfig(row) : parseConfig(row.additionalConfig);
  }

  async #storedConfig(key: ConnectionKey): Promise<AdditionalConfig> {
    const existing = await this.#context.store.findConnection(key);
    return existing ? parseConfig(existing.additionalConfig) : {};
  }

  #newConnection(
    { integration, userId }: ConnectionKey,
    credentials: BaseCredentials,
    additionalConfig: string | null,
  ): NewConnection {
    const key = { integration, userId };
    const mode = authModeOf(integrationNamed(integration, this.#context));
    const sealedCredentials = sealCredentials(credentials, key, this.#context.vault);
    const expiresAt = mode.renewal?.expiresAt(credentials) ?? null;
    return {
      ...key,
      uuid: randomUUID(),
      authMode: mode.name,
      sealedCredentials,
      additionalConfig,
      expiresAt,
      now: this.#context.now(),
    };
  }
}

/** The cookie that binds one state to one browser. */
function cookieName(state: string): string {
  return `nango_attempt_${hashToken(state).slice(0, 16)}`;
}

const secretsSchema = z.record(z.string(), z.string());

function secretsPlace(attemptHash: string): SealedPlace {
  return { table: 'connect_attempts', row: attemptHash, column: 'sealed_secrets' };
}

function isSameBrowser({ browserHash }: ConnectAttemptRow, cookie: string | undefined): boolean {
  if (browserHash === null || cookie === undefined) return false;
  return timingSafeEqual(Buffer.from(browserHash), Buffer.from(hashToken(cookie)));
}

function toResult({ integration, userId, status, errorType, errorMessage, origin }: ConnectAttemptRow): AttemptResult {
  const error = errorType === null ? null : { type: errorType, message: errorMessage ?? '' };
  return {
    integration,
    userId,
    origin,
    error,
    status: status === 'succeeded' || status === 'failed' ? status : 'pending',
  };
}

function publicError(error: unknown): { type: string; message: string } {
  if (error instanceof NangoError && PUBLIC_ERRORS.has(error.code)) return { type: error.code, message: error.message };
  if (error instanceof NangoError && /^(request_|response_)/.test(error.code))
    return { type: 'token_exchange_failed', message: error.message };
  return { type: 'internal_error', message: 'The server could not finish the connection; its log says why.' };
}

function spent(): NangoError {
  return new NangoError(
    'invalid_state',
    'This authorization was already used, has expired, or was not begun here. Start again from the application.',
  );
}

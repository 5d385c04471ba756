import { timingSafeEqual } from 'node:crypto';
import type { ResponseParameters } from '../oauth/authorization-response.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectAttemptRow, ConnectionKey } from '../store/store.ts';
import { failAttemptOnError, invalidState, openAttempt, publicError, sealSecrets } from './attempt-steps.ts';
import { clientSecrets } from './own-client.ts';
import { storeAuthorized } from './store-connection.ts';
import {
  authModeOf,
  integrationNamed,
  modeContext,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { otherAccountsOf } from './account-change.ts';
import { awaitConfirmation } from './confirmations.ts';
import { hashToken } from './connect-sessions.ts';
import { createAttempt, type AttemptRequest, type CreatedAttempt } from './create-attempt.ts';
import { redeemCode, returnUrlOf } from './redirects.ts';
import { parseAttemptOptions, type AttemptOptions } from './session-options.ts';
import { Secret } from '../vault/secret.ts';

const MAX_STATE = 512;

/**
 * The permission for the redirect to the provider. It comes from the page that began the attempt, or from the user's
 * click on a page that names the attempt.
 */
export type BeginProof = { readonly nonce: Secret<string> } | 'clicked' | undefined;

/** An attempt that waits for its browser. */
export interface WaitingAttempt extends ConnectionKey {
  readonly origin: string | null;
  readonly endUser: AttemptOptions['endUser'];
  /** Whether {@link ConnectFlow.begin} needs a proof. */
  readonly needsProof: boolean;
}

/** The redirect to the authorization server. */
export interface BegunAttempt {
  readonly authorizationUrl: Secret<string>;
  readonly cookie: { readonly name: string; readonly value: Secret<string> };
}

/** The state of an attempt. */
export interface AttemptResult extends ConnectionKey {
  readonly status: 'pending' | 'succeeded' | 'failed';
  readonly error: { readonly type: string; readonly message: string } | null;
  /** The only origin to which the result may be posted; null = none. */
  readonly origin: string | null;
  /** The user's other accounts here that belong to the same account at the provider. */
  readonly alsoConnectedAs: readonly string[];
  /** Whether a link began the attempt, so that the user can try again by opening the link. */
  readonly isByLink?: boolean;
}

/** How a callback ended an attempt. */
export interface EndedAttempt extends AttemptResult {
  /** Where the browser goes now; null = it shows the result. It holds a code that is used once. */
  readonly returnUrl: Secret<string> | null;
}

/** A callback, as it was received. */
export interface Callback {
  readonly params: ResponseParameters;
  readonly cookies: ReadonlyMap<string, Secret<string>>;
}

/** Takes a user from `connect()` to a stored connection: one attempt, one state, one browser. */
export class ConnectFlow {
  readonly #context: ConnectionContext;

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  /** Creates an attempt for a user who may connect. If the provider needs no user, the connection is made at once. */
  create(request: AttemptRequest): Promise<CreatedAttempt> {
    return createAttempt(request, this.#context);
  }

  /** Returns an attempt that no browser has opened. Throws `invalid_state` if it was used or has expired. */
  async findWaiting(attempt: Secret<string>): Promise<WaitingAttempt> {
    const { integration, userId, account, origin, nonceHash, options } = await this.#findWaiting(attempt);
    const { endUser } = parseAttemptOptions(options);
    return { integration, userId, account, origin, endUser, needsProof: nonceHash !== null };
  }

  /**
   * Binds the attempt to one browser, once. Without a proof, people who open a link could be made to connect their
   * account to another user id. Throws `invalid_state` for an attempt that was used or has expired, or for a wrong
   * proof.
   */
  async begin(attempt: Secret<string>, proof: BeginProof): Promise<BegunAttempt> {
    const { store, now, randomToken } = this.#context;
    const row = await this.#findWaiting(attempt);
    const { attemptHash } = row;
    if (!isProven(row, proof)) throw invalidState();
    const { integration, mode, config, oauthClient, redirectUri } = await openAttempt(row, this.#context);
    const { authorization } = mode;
    if (!authorization)
      throw new NangoError('unsupported_auth_mode', `"${row.integration}" needs no authorization in a browser.`);
    const state = new Secret(randomToken());
    const browser = new Secret(randomToken());
    const begin = async () =>
      authorization.begin({ integration, config, state, redirectUri }, modeContext(integration, this.#context));
    const { authorizationUrl, secrets } = await failAttemptOnError(row, begin, this.#context);
    const sealedSecrets = sealSecrets(
      { ...secrets, ...clientSecrets(oauthClient), redirect_uri: new Secret(redirectUri) },
      attemptHash,
      this.#context,
    );
    const bound = await store.beginAttempt(attemptHash, {
      stateHash: hashToken(state),
      browserHash: hashToken(browser),
      sealedSecrets,
      now: now(),
    });
    if (!bound) throw invalidState();
    return { authorizationUrl, cookie: { name: cookieName(state), value: browser } };
  }

  async #findWaiting(attempt: Secret<string>): Promise<ConnectAttemptRow> {
    const { store, now } = this.#context;
    const row = await store.findAttempt(hashToken(attempt));
    if (row?.status !== 'created' || row.expiresAt <= now()) throw invalidState();
    return row;
  }

  /** Whether the callback of this state may be a form POST. */
  async acceptsFormPost(state: Secret<string>): Promise<boolean> {
    const row = await this.#context.store.findAttemptByState(hashToken(state));
    if (!row) return false;
    const integration = integrationNamed(row.integration, this.#context);
    return authModeOf(integration).authorization?.usesFormPost(integration) ?? false;
  }

  /**
   * Ends an attempt with the authorization server's response. The state is marked as used before anything else, so only
   * one of two callbacks continues. A callback from another browser ends the attempt for good (RFC 9700 §4.7). Throws
   * `invalid_state` for an unknown or repeated state; otherwise the result says how it ended.
   */
  async complete({ params, cookies }: Callback): Promise<EndedAttempt> {
    const { store, now } = this.#context;
    const state = params.secret('state') ?? new Secret('');
    const isPossible = state.map(({ length }) => length > 0 && length <= MAX_STATE).reveal();
    const row = isPossible ? await store.takeAttempt(hashToken(state), now()) : undefined;
    if (!row) throw invalidState();
    if (!isSameBrowser(row, cookies.get(cookieName(state)))) {
      const error = {
        type: 'invalid_state',
        message: 'The authorization was started in one browser and finished in another browser. Start again.',
      };
      await store.failAttempt(row.attemptHash, error);
      return { ...toResult(row), status: 'failed', error, origin: null, returnUrl: null };
    }
    const result = await this.#end(row, params);
    return { ...result, returnUrl: await returnUrlOf(row, result, this.#context) };
  }

  async #end(row: ConnectAttemptRow, params: ResponseParameters): Promise<AttemptResult> {
    try {
      const status = await failAttemptOnError(row, () => this.#connect(row, params), this.#context);
      const alsoConnectedAs = status === 'succeeded' ? await otherAccountsOf(row, this.#context) : [];
      return { ...toResult(row), status, alsoConnectedAs };
    } catch (error) {
      return { ...toResult(row), status: 'failed', error: publicError(error) };
    }
  }

  /** Exchanges the code of a callback, and stores the connection, unless the back end has to confirm it first. */
  async #connect(row: ConnectAttemptRow, callback: ResponseParameters): Promise<'pending' | 'succeeded'> {
    const attempt = await openAttempt(row, this.#context);
    const { integration, mode, options } = attempt;
    if (!mode.authorization) throw invalidState();
    const authorized = await mode.authorization.complete(
      { ...attempt, callback },
      modeContext(integration, this.#context),
    );
    if (options.confirm) {
      await awaitConfirmation(attempt, authorized, this.#context);
      return 'pending';
    }
    await storeAuthorized(attempt, authorized, this.#context);
    return 'succeeded';
  }

  /** Returns the state of an attempt, for the page that began it. Undefined if there is no such attempt. */
  async result(attempt: Secret<string>): Promise<AttemptResult | undefined> {
    const row = await this.#context.store.findAttempt(hashToken(attempt));
    return row && this.#resultOf(row);
  }

  /**
   * Returns the result of an attempt, for the page to which the browser returned with a code. Throws `invalid_code`
   * unless the code is this attempt's and unused.
   */
  async redeem(attempt: Secret<string>, code: Secret<string>): Promise<AttemptResult> {
    return this.#resultOf(await redeemCode(attempt, code, this.#context));
  }

  async #resultOf(row: ConnectAttemptRow): Promise<AttemptResult> {
    if (row.status === 'succeeded')
      return { ...toResult(row), alsoConnectedAs: await otherAccountsOf(row, this.#context) };
    const expired = row.expiresAt <= this.#context.now() && row.status !== 'failed';
    return expired
      ? { ...toResult(row), status: 'failed', error: { type: 'timeout', message: 'The user did not finish in time.' } }
      : toResult(row);
  }
}

/** The name of the cookie that binds one state to one browser. */
function cookieName(state: Secret<string>): string {
  return `nango_attempt_${hashToken(state).slice(0, 16)}`;
}

function isProven({ nonceHash }: ConnectAttemptRow, proof: BeginProof): boolean {
  if (nonceHash === null || proof === 'clicked') return true;
  return proof !== undefined && timingSafeEqual(Buffer.from(nonceHash), Buffer.from(hashToken(proof.nonce)));
}

function isSameBrowser({ browserHash }: ConnectAttemptRow, cookie: Secret<string> | undefined): boolean {
  if (browserHash === null || cookie === undefined) return false;
  return timingSafeEqual(Buffer.from(browserHash), Buffer.from(hashToken(cookie)));
}

function toResult({
  integration,
  userId,
  account,
  status,
  errorType,
  errorMessage,
  origin,
  sessionHash,
}: ConnectAttemptRow): AttemptResult {
  const error = errorType === null ? null : { type: errorType, message: errorMessage ?? '' };
  return {
    integration,
    userId,
    account,
    origin,
    error,
    alsoConnectedAs: [],
    isByLink: sessionHash !== null,
    status: status === 'succeeded' || status === 'failed' ? status : 'pending',
  };
}

import { failureOf, fetchAttempt, post, type AttemptResponse } from './attempts.ts';
import { popupFeatures, waitForResult } from './popup.ts';
import { leave, needsRedirect, tabStorage, takePending } from './redirect.ts';
import { ConnectError, type ConnectOptions, type ConnectResult, type Fail, type NangoErrorType } from './types.ts';

export { ConnectError, type ConnectOptions, type ConnectResult, type NangoErrorType };

const ATTEMPT_LIFE_MS = 600_000;

/** Client of a Nango server, for an application's front end. */
export default class Nango {
  readonly #root: string;
  readonly #options: ConnectOptions;

  /** `rootUrl` is the server's oauth_server_root_url. `options` are the defaults of every connect(). */
  constructor(rootUrl: string, options: ConnectOptions = {}) {
    const root = URL.parse(rootUrl);
    if (!root || !/^https?:$/.test(root.protocol))
      throw new TypeError(
        `new Nango(rootUrl): rootUrl must be the address of your Nango server, such as "https://nango.example.com", ` +
          `not "${rootUrl}".`,
      );
    this.#root = root.href.replace(/\/+$/, '');
    this.#options = options;
  }

  /**
   * Connects a user's account: opens the provider in a popup and resolves when the connection is stored. Call it
   * directly in a click handler, or the browser blocks the popup. Rejects with {@link ConnectError}.
   *
   * In mode `redirect`, the page is left, and {@link Nango.connectResult} has the result.
   */
  connect(integration: string, userId: string, options?: ConnectOptions): Promise<ConnectResult> {
    return this.#connect({ integration, userId: userId ?? '' }, options);
  }

  /**
   * Connects an existing connection again, like connect(). Your back end creates the token for it with
   * createConnectSession({ connectionId }).
   */
  reconnect(connectionId: string, options?: ConnectOptions): Promise<ConnectResult> {
    return this.#connect({ connectionId }, options);
  }

  /**
   * Returns the result of a connect() in mode `redirect` on the page to which the browser returned. Null if this tab
   * waits for none. Rejects like connect().
   */
  async connectResult(): Promise<ConnectResult | null> {
    const pending = takePending();
    if (!pending) return null;
    const { attempt, integration, userId, code } = pending;
    const fail = failOf({ integrationName: integration, userId });
    const url = `${this.#root}/oauth/attempts/${attempt}/result`;
    const result = await fetchAttempt(fail, url, post({ code }));
    const failure = failureOf(fail, result);
    if (failure) throw failure;
    return toResult(result);
  }

  #connect(named: NamedConnection, options?: ConnectOptions): Promise<ConnectResult> {
    const all = { ...this.#options, ...options };
    const mode = all.credentials ? undefined : (all.mode ?? (needsRedirect() ? 'redirect' : 'popup'));
    // Opened before any await: browsers permit a new window only in the turn of the click.
    const popup = mode === 'popup' ? window.open('', '_blank', popupFeatures()) : undefined;
    return connectAccount({ root: this.#root, named, popup, isRedirect: mode === 'redirect' }, all);
  }
}

export { Nango };

/** A connection as the caller names it. */
type NamedConnection = { integration: string; userId: string } | { connectionId: string };

interface Connecting {
  root: string;
  named: NamedConnection;
  /** Null = the browser blocked it; undefined = none is needed. */
  popup: Window | null | undefined;
  isRedirect: boolean;
}

async function connectAccount(
  { root, named, popup, isRedirect }: Connecting,
  { connectSessionToken, account, newAccount, additionalConfig, credentials, redirectUrl, timeout }: ConnectOptions,
): Promise<ConnectResult> {
  const fail = failOf('integration' in named ? { integrationName: named.integration, userId: named.userId } : UNKNOWN);
  const storage = isRedirect ? tabStorage() : undefined;
  try {
    if (popup === null)
      throw fail('popup_blocked', 'The browser blocked the popup. Call connect() directly in a click handler.');
    if (isRedirect && !storage)
      throw fail('storage_unavailable', 'The browser permits this page no sessionStorage, which a redirect needs.');
    // The defaults of every connect() may name an account. The connection's own one is meant here.
    const chosen = 'integration' in named ? { account, newAccount } : {};
    const page = isRedirect ? (redirectUrl ?? window.location.href.split(/[?#]/)[0]) : undefined;
    const body = { ...named, ...chosen, additionalConfig, credentials, redirectUrl: page };
    const attempt = await fetchAttempt(fail, `${root}/oauth/attempts`, post(body, connectSessionToken));
    if (storage && attempt.status !== 'succeeded') return await leave(storage, attempt);
    let result;
    if (popup && attempt.status !== 'succeeded') {
      popup.location.href = attempt.connectUrl;
      result = await waitForResult({
        popup,
        origin: new URL(root).origin,
        timeout: timeout ?? ATTEMPT_LIFE_MS,
        fail,
        nonce: attempt.nonce,
        poll: () => fetchAttempt(fail, `${root}/oauth/attempts/${attempt.attempt}`),
      });
    }
    return toResult({ ...named, ...attempt, ...result });
  } finally {
    popup?.close();
  }
}

// A page that connects a connection again by its id does not know these names until the server responds.
const UNKNOWN = { integrationName: '', userId: '' };

function failOf(key: ConnectResult): Fail {
  return (type, message) => new ConnectError(key, type, message);
}

function toResult({ integration, userId, account, alsoConnectedAs }: AttemptResponse): ConnectResult {
  return {
    integrationName: integration,
    userId,
    ...(account === 'default' ? {} : { account }),
    ...(alsoConnectedAs ? { alsoConnectedAs } : {}),
  };
}

import { fetchAttempt, type AttemptResponse } from './attempts.ts';
import { popupFeatures, waitForResult } from './popup.ts';
import { ConnectError, type ConnectOptions, type ConnectResult, type NangoErrorType } from './types.ts';

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

  #connect(named: NamedConnection, options?: ConnectOptions): Promise<ConnectResult> {
    // Opened before any await: browsers permit a new window only in the turn of the click.
    const all = { ...this.#options, ...options };
    const popup = all.credentials ? undefined : window.open('', '_blank', popupFeatures());
    return connectAccount({ root: this.#root, named, popup }, all);
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
}

async function connectAccount(
  { root, named, popup }: Connecting,
  { connectSessionToken, account, newAccount, additionalConfig, credentials, timeout }: ConnectOptions,
): Promise<ConnectResult> {
  const key = 'integration' in named ? { integrationName: named.integration, userId: named.userId } : UNKNOWN;
  const fail = (type: NangoErrorType, message: string) => new ConnectError(key, type, message);
  try {
    if (popup === null)
      throw fail('popup_blocked', 'The browser blocked the popup. Call connect() directly in a click handler.');
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (connectSessionToken) headers['authorization'] = `Bearer ${connectSessionToken}`;
    const body = JSON.stringify({ ...named, account, newAccount, additionalConfig, credentials });
    const attempt = await fetchAttempt(fail, `${root}/oauth/attempts`, { method: 'POST', headers, body });
    if (popup && attempt.status !== 'succeeded') {
      popup.location.href = attempt.connectUrl;
      await waitForResult({
        popup,
        origin: new URL(root).origin,
        timeout: timeout ?? ATTEMPT_LIFE_MS,
        fail,
        nonce: attempt.nonce,
        poll: () => fetchAttempt(fail, `${root}/oauth/attempts/${attempt.attempt}`),
      });
    }
    return connectResult({ ...named, ...attempt });
  } finally {
    popup?.close();
  }
}

// A page that connects a connection again by its id does not know these names until the server responds.
const UNKNOWN = { integrationName: '', userId: '' };

function connectResult({ integration, userId, account }: AttemptResponse): ConnectResult {
  const key = { integrationName: integration, userId };
  return account === 'default' ? key : { ...key, account };
}

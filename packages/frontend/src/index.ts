/** The code of the reason why connect() failed. */
export type NangoErrorType =
  | 'unknown_integration'
  | 'missing_user_id'
  | 'invalid_state'
  | 'access_denied'
  | 'provider_error'
  | 'token_exchange_failed'
  | 'popup_blocked'
  | 'window_closed'
  | 'timeout'
  | 'network_error'
  | 'unauthorized'
  | 'forbidden'
  | 'invalid_credentials'
  | 'invalid_request'
  | (string & {});

/** The connection that connect() resolves to. */
export interface ConnectResult {
  integrationName: string;
  userId: string;
}

/** The error that connect() rejects with. */
export class ConnectError extends Error {
  readonly integrationName: string;
  readonly userId: string;
  readonly error: { readonly type: NangoErrorType; readonly message: string };

  constructor(result: ConnectResult, type: NangoErrorType, message: string) {
    super(message);
    this.name = 'ConnectError';
    this.integrationName = result.integrationName;
    this.userId = result.userId;
    this.error = { type, message };
  }
}

/** Options of connect(). */
export interface ConnectOptions {
  /** Created by your back end with createConnectSession. Needed unless the server's root URL is a loopback URL. */
  connectSessionToken?: string;
  /** Settings of the connection that the provider's URLs need, such as a subdomain. */
  additionalConfig?: Record<string, unknown>;
  /** Prompted credentials, for integrations with an API key or a user name and password. No popup opens. */
  credentials?: Record<string, unknown>;
  /** The time that the user has, in milliseconds. Default: ten minutes, which is the server's maximum. */
  timeout?: number;
}

const POLL_MS = 1000;
// A provider's page may isolate the popup from us (COOP). It then looks closed while the user still works in it.
const CLOSED_GRACE_MS = 3000;
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
    // Opened before any await: browsers permit a new window only in the turn of the click.
    const all = { ...this.#options, ...options };
    const popup = all.credentials ? undefined : window.open('', '_blank', popupFeatures());
    return connectAccount(this.#root, { integrationName: integration, userId }, all, popup);
  }
}

export { Nango };

async function connectAccount(
  root: string,
  key: ConnectResult,
  options: ConnectOptions,
  popup: Window | null | undefined,
): Promise<ConnectResult> {
  const fail = (type: NangoErrorType, message: string) => new ConnectError(key, type, message);
  try {
    if (popup === null)
      throw fail('popup_blocked', 'The browser blocked the popup. Call connect() directly in a click handler.');
    const { integrationName: integration, userId } = key;
    const { connectSessionToken, additionalConfig, credentials } = options;
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (connectSessionToken) headers['authorization'] = `Bearer ${connectSessionToken}`;
    const body = JSON.stringify({ integration, userId: userId ?? '', additionalConfig, credentials });
    const attempt = await fetchAttempt(fail, `${root}/oauth/attempts`, { method: 'POST', headers, body });
    if (popup && attempt.status !== 'succeeded') {
      popup.location.href = attempt.connectUrl;
      await waitForResult({
        popup,
        origin: new URL(root).origin,
        timeout: options.timeout ?? ATTEMPT_LIFE_MS,
        fail,
        nonce: attempt.nonce,
        poll: () => fetchAttempt(fail, `${root}/oauth/attempts/${attempt.attempt}`),
      });
    }
    return key;
  } finally {
    popup?.close();
  }
}

type Fail = (type: NangoErrorType, message: string) => ConnectError;

interface AttemptResponse {
  status: string;
  attempt: string;
  connectUrl: string;
  nonce?: string;
  error: { type: string; message: string } | null;
}

async function fetchAttempt(fail: Fail, url: string, init?: RequestInit): Promise<AttemptResponse> {
  let response: AttemptResponse;
  try {
    response = await (await fetch(url, { ...init, credentials: 'omit', referrerPolicy: 'no-referrer' })).json();
  } catch {
    throw fail('network_error', `The Nango server at ${new URL(url).origin} could not be reached.`);
  }
  if (!response.status && response.error) throw fail(response.error.type, response.error.message);
  return response;
}

interface WaitOptions {
  popup: Window;
  /** The server's origin. */
  origin: string;
  /** Milliseconds. */
  timeout: number;
  /** Proves to the server's page that this page began the attempt. Then the server's page asks the user nothing. */
  nonce: string | undefined;
  fail: Fail;
  poll: () => Promise<AttemptResponse>;
}

/** Waits for the popup's message, and polls the server, because an isolated popup cannot send a message. */
function waitForResult({ popup, origin: serverOrigin, timeout, nonce, fail, poll }: WaitOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + timeout;
    let closedSince = 0;
    let ended = false;
    let timer = setTimeout(tick, POLL_MS);
    window.addEventListener('message', onMessage);

    function endIfFinal(response: Pick<AttemptResponse, 'status' | 'error'>): boolean {
      if (response.status !== 'succeeded' && response.status !== 'failed') return false;
      stop(
        response.status === 'failed'
          ? fail(response.error?.type ?? 'provider_error', response.error?.message ?? 'The connection was not made.')
          : undefined,
      );
      return true;
    }

    function stop(error?: ConnectError): void {
      ended = true;
      clearTimeout(timer);
      window.removeEventListener('message', onMessage);
      if (error) reject(error);
      else resolve();
    }

    // Accepts messages only from our server's page, in the window that was opened here.
    function onMessage({ source, origin, data }: MessageEvent): void {
      if (source !== popup || origin !== serverOrigin || data?.source !== 'nango') return;
      if (data.status === 'ready') popup.postMessage({ source: 'nango', nonce }, serverOrigin);
      else endIfFinal(data);
    }

    async function tick(): Promise<void> {
      const response = await poll().catch(() => undefined);
      if (ended || (response && endIfFinal(response))) return;
      const now = Date.now();
      // If this page has the focus, the user has left the popup. Otherwise they may still be in an isolated popup.
      if (!popup.closed || !document.hasFocus()) closedSince = 0;
      else closedSince ||= now;
      if (closedSince && now - closedSince >= CLOSED_GRACE_MS)
        return stop(fail('window_closed', 'The window was closed before the connection was made.'));
      if (now >= deadline) return stop(fail('timeout', 'The user did not finish in time.'));
      timer = setTimeout(tick, POLL_MS);
    }
  });
}

function popupFeatures(): string {
  const width = 500;
  const height = 720;
  const left = Math.round(window.screenX + (window.outerWidth - width) / 2);
  const top = Math.round(window.screenY + (window.outerHeight - height) / 2);
  return `popup,width=${width},height=${height},left=${left},top=${top}`;
}

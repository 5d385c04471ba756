import { failureOf, type AttemptResult } from './attempts.ts';
import type { ConnectError, Fail } from './types.ts';

const POLL_MS = 1000;
// A provider's page may isolate the popup from us (COOP). It then looks closed while the user still works in it.
const CLOSED_GRACE_MS = 3000;

interface WaitOptions {
  popup: Window;
  /** The server's origin. */
  origin: string;
  /** Milliseconds. */
  timeout: number;
  /** Proves to the server's page that this page began the attempt. Then the server's page asks the user nothing. */
  nonce: string | undefined;
  fail: Fail;
  poll: () => Promise<AttemptResult>;
}

/** Waits for the popup's message, and polls the server, because an isolated popup cannot send a message. */
export function waitForResult({
  popup,
  origin: serverOrigin,
  timeout,
  nonce,
  fail,
  poll,
}: WaitOptions): Promise<AttemptResult> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + timeout;
    let closedSince = 0;
    let ended = false;
    let timer = setTimeout(tick, POLL_MS);
    window.addEventListener('message', onMessage);

    function endIfFinal(result: AttemptResult): boolean {
      if (result.status !== 'succeeded' && result.status !== 'failed') return false;
      const failure = failureOf(fail, result);
      stop();
      if (failure) reject(failure);
      else resolve(result);
      return true;
    }

    function stop(): void {
      ended = true;
      clearTimeout(timer);
      window.removeEventListener('message', onMessage);
    }

    function giveUp(error: ConnectError): void {
      stop();
      reject(error);
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
        return giveUp(fail('window_closed', 'The window was closed before the connection was made.'));
      if (now >= deadline) return giveUp(fail('timeout', 'The user did not finish in time.'));
      timer = setTimeout(tick, POLL_MS);
    }
  });
}

/** Returns the size and the place of a popup, in the middle of this window. */
export function popupFeatures(): string {
  const width = 500;
  const height = 720;
  const left = Math.round(window.screenX + (window.outerWidth - width) / 2);
  const top = Math.round(window.screenY + (window.outerHeight - height) / 2);
  return `popup,width=${width},height=${height},left=${left},top=${top}`;
}

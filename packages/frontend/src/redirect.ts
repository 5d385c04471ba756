import type { AttemptResponse } from './attempts.ts';

// In the browsers of apps, and in apps on the home screen of iOS, a popup does not open or has no opener.
const APPS = /FBA[NV]|Instagram|Line\/|MicroMessenger|Twitter|LinkedInApp|Snapchat|Pinterest|TikTok|Bytedance/;
const WEB_VIEW = /; wv\)|\(iP(hone|ad|od)(?!.*Safari)/;

/** An attempt for which the browser left the page. Only this tab keeps it. */
type Pending = Pick<AttemptResponse, 'attempt' | 'integration' | 'userId'>;

const KEY = 'nango_attempt';
const CODE = 'nango_code';

/** Whether popups do not work in this browser. */
export function needsRedirect(): boolean {
  const { userAgent, standalone } = navigator as Navigator & { standalone?: boolean };
  return standalone === true || APPS.test(userAgent) || WEB_VIEW.test(userAgent);
}

/** Returns the storage of this tab; undefined if the browser permits none. */
export function tabStorage(): Storage | undefined {
  try {
    return window.sessionStorage;
  } catch {
    return undefined;
  }
}

/** Leaves the page for the provider. The Promise never ends, because the page does. */
export function leave(storage: Storage, { attempt, integration, userId, connectUrl }: AttemptResponse): Promise<never> {
  storage.setItem(KEY, JSON.stringify({ attempt, integration, userId }));
  window.location.assign(connectUrl);
  return new Promise(() => {});
}

/**
 * Returns the attempt for which the browser came back to this page, and removes it from the tab and the code from the
 * address. Null if this tab did not leave, or came back without a code: somebody else may have made the address.
 */
export function takePending(): (Pending & { code: string }) | null {
  const url = new URL(window.location.href);
  const code = url.searchParams.get(CODE);
  const storage = tabStorage();
  const stored = storage?.getItem(KEY);
  if (!code || !stored) return null;
  storage?.removeItem(KEY);
  url.searchParams.delete(CODE);
  window.history.replaceState(window.history.state, '', url);
  return { ...(JSON.parse(stored) as Pending), code };
}

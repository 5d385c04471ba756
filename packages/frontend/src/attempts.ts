import type { ConnectError, Fail } from './types.ts';

/** An attempt to connect, as the server describes it. */
export interface AttemptResponse {
  status: string;
  attempt: string;
  integration: string;
  userId: string;
  account: string;
  connectUrl: string;
  nonce?: string;
  error: { type: string; message: string } | null;
  alsoConnectedAs?: string[];
}

/** How an attempt ended. */
export type AttemptResult = Pick<AttemptResponse, 'status' | 'error' | 'alsoConnectedAs'>;

/** Sends a request about an attempt. Throws the error of the server's response, and `network_error`. */
export async function fetchAttempt(fail: Fail, url: string, init?: RequestInit): Promise<AttemptResponse> {
  let response: AttemptResponse;
  try {
    response = await (await fetch(url, { ...init, credentials: 'omit', referrerPolicy: 'no-referrer' })).json();
  } catch {
    throw fail('network_error', `The Nango server at ${new URL(url).origin} could not be reached.`);
  }
  if (!response.status && response.error) throw fail(response.error.type, response.error.message);
  return response;
}

/** Returns a request that sends JSON, and the connect session token. */
export function post(body: object, token?: string): RequestInit {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (token) headers['authorization'] = `Bearer ${token}`;
  return { method: 'POST', headers, body: JSON.stringify(body) };
}

/** Returns the error of an attempt that failed; undefined if it did not fail. */
export function failureOf(fail: Fail, { status, error }: AttemptResult): ConnectError | undefined {
  return status === 'failed'
    ? fail(error?.type ?? 'provider_error', error?.message ?? 'The connection was not made.')
    : undefined;
}

import type { Fail } from './types.ts';

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
}

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

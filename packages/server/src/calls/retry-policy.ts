import type { HeaderFields } from '../formats/header-fields.ts';
import type { RateLimit } from '../schema/request-settings.ts';
import { IDEMPOTENT_METHODS } from '../upstream/idempotent-methods.ts';
import { parseRetryAfter } from '../upstream/retry-after.ts';

const MAX_RETRIES = 3;
const MAX_WAIT_MS = 30_000;
const FIRST_WAIT_MS = 1_000;
// If more were retried at the same moment, the API would be out of quota again.
const MAX_WAITING_OF_A_CONNECTION = 10;

/** An API's response, and the number of earlier retries of its request. */
export interface RetriedResponse {
  readonly method: string;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: HeaderFields;
  readonly retries: number;
}

/** The rules of retries. */
export interface RetryPolicy {
  readonly rateLimit: RateLimit | undefined;
  /** Maximum number of retries; default 3. */
  readonly maxRetries?: number | undefined;
  /**
   * Whether methods that are not idempotent are retried too. They are only if the API was out of quota: it did nothing.
   */
  readonly anyMethod: boolean;
}

/**
 * Milliseconds to wait before a retry; undefined if the response is final. A retry follows a 429 (RFC 6585 §4), a
 * response that the Blueprint declares as out of quota, and a 503 with a time (RFC 9110 §15.6.4). There are at most
 * `maxRetries`, and no wait is longer than 30 s: longer waits are the caller's decision. Methods that are not
 * idempotent are retried only on the caller's request, and only if the API was out of quota.
 */
export function waitBeforeRetry(
  { method, status, headers, retries }: RetriedResponse,
  { rateLimit, maxRetries = MAX_RETRIES, anyMethod }: RetryPolicy,
  now: number,
): number | undefined {
  const isOutOfQuota = status === 429 || (rateLimit?.statuses.includes(status) && hasNoQuota(rateLimit, headers));
  if ((!isOutOfQuota && status !== 503) || retries >= maxRetries) return undefined;
  if (!IDEMPOTENT_METHODS.has(method) && !(anyMethod && isOutOfQuota)) return undefined;
  const requestedMs =
    parseRetryAfter(valueOf(headers, 'retry-after'), now) ?? (rateLimit && untilReset(rateLimit, headers, now));
  if (requestedMs === undefined && !isOutOfQuota) return undefined;
  const wait = requestedMs ?? FIRST_WAIT_MS * 2 ** retries;
  return wait <= MAX_WAIT_MS ? wait : undefined;
}

function hasNoQuota({ remaining_header }: RateLimit, headers: RetriedResponse['headers']): boolean {
  return remaining_header === undefined || /^\s*0+(\.0+)?\s*$/.test(valueOf(headers, remaining_header));
}

/** Milliseconds until the API has quota again; undefined if it does not say. */
function untilReset(
  { reset_header, reset_format }: RateLimit,
  headers: RetriedResponse['headers'],
  now: number,
): number | undefined {
  const text = reset_header === undefined ? '' : valueOf(headers, reset_header).trim();
  if (text === '') return undefined;
  const at = reset_format === 'date' ? Date.parse(text) : Number(text);
  const wait = { seconds: at * 1000, epoch: at * 1000 - now, epoch_ms: at - now, date: at - now }[reset_format];
  return Number.isFinite(wait) ? Math.max(wait, 0) : undefined;
}

function valueOf(headers: RetriedResponse['headers'], name: string): string {
  return String(headers[name] ?? '');
}

/** Waiting retries, by connection. Their number is bounded, and each waits a little longer than the one before. */
export class RetryQueue {
  readonly #waiting = new Map<string, number>();
  readonly #delay: (milliseconds: number) => Promise<unknown>;

  constructor(delay: (milliseconds: number) => Promise<unknown>) {
    this.#delay = delay;
  }

  /** Waits. Undefined if too many requests of the connection wait already; then the API's response is final. */
  wait(connection: string, milliseconds: number): Promise<void> | undefined {
    const before = this.#waiting.get(connection) ?? 0;
    if (before >= MAX_WAITING_OF_A_CONNECTION) return undefined;
    this.#waiting.set(connection, before + 1);
    return this.#wait(connection, milliseconds + (milliseconds * before) / MAX_WAITING_OF_A_CONNECTION);
  }

  async #wait(connection: string, milliseconds: number): Promise<void> {
    try {
      await this.#delay(milliseconds);
    } finally {
      const left = (this.#waiting.get(connection) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(connection);
      else this.#waiting.set(connection, left);
    }
  }
}

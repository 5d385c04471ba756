import type { AuthMode, BaseCredentials, Integration } from '../auth-modes/auth-mode.ts';

const MAX_SPREAD_MS = 300_000;
const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 300_000;

/** When credentials expire, and when the background refreshes them; null = never. */
export interface RefreshSchedule {
  readonly expiresAt: number | null;
  readonly dueAt: number | null;
}

/**
 * Returns the schedule of credentials that are about to be stored. The background refresh is due before a request would
 * have to wait, and earlier by a random amount. So tokens that were issued together are not refreshed together.
 */
export function scheduleOf(
  credentials: BaseCredentials,
  { mode, integration }: { mode: AuthMode; integration: Integration },
  { now, random }: { now: () => number; random: () => number },
): RefreshSchedule {
  const { refresh } = mode;
  const dueAt = refresh?.dueAt(credentials, integration);
  const keepAliveAt = refresh?.keepAliveAt?.(credentials, integration);
  const earliest = Math.min(dueAt ?? Number.POSITIVE_INFINITY, keepAliveAt ?? Number.POSITIVE_INFINITY);
  const spread = Math.min((earliest - now()) / 5, MAX_SPREAD_MS);
  return {
    expiresAt: refresh?.expiresAt(credentials) ?? null,
    dueAt: earliest === Number.POSITIVE_INFINITY ? null : Math.floor(earliest - Math.max(spread, 0) * random()),
  };
}

/** Returns the back-off in milliseconds after this many failures in a row. It doubles, and half of it is random. */
export function backoffMs(
  failures: number,
  {
    random,
    firstMs = FIRST_BACKOFF_MS,
    maxMs = MAX_BACKOFF_MS,
  }: { random: () => number; firstMs?: number; maxMs?: number },
): number {
  const full = Math.min(firstMs * 2 ** failures, maxMs);
  return Math.round(full / 2 + (full / 2) * random());
}

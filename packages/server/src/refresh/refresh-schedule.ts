import type { AuthMode, BaseCredentials, Integration } from '../auth-modes/auth-mode.ts';

const MAX_SPREAD_MS = 300_000;

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

import type { OpenConnection } from '../connections/connection-context.ts';

// A token that is served shortly before its expiry could expire on its way to the API.
const MARGIN_MS = 500;

/** A clock in milliseconds since the epoch. */
interface Clock {
  readonly now: () => number;
}

/**
 * Whether a connection must be refreshed before use: it is due, or its token has expired. A connection that needs its
 * user is not refreshed again, because the provider has rejected it.
 */
export function isDue(connection: OpenConnection, clock: Clock): boolean {
  const { row, mode, integration, credentials } = connection;
  if (row.status !== 'active') return false;
  const dueAt = mode.refresh?.dueAt(credentials, integration);
  return (dueAt !== undefined && dueAt <= clock.now()) || isExpiredAndRefreshable(connection, clock);
}

/** Whether a token has expired, and a refresh can replace it. */
export function isExpiredAndRefreshable(connection: OpenConnection, clock: Clock): boolean {
  const { mode, integration, credentials } = connection;
  return isExpired(connection, clock) && mode.refresh?.isRefreshable(credentials, integration) === true;
}

/**
 * Whether a token is too old to serve. Its lifetime here begins when the response was received. The provider's begins
 * earlier, by at most the time that the response took.
 */
export function isExpired(
  { mode, credentials }: Pick<OpenConnection, 'mode' | 'credentials'>,
  { now }: Clock,
): boolean {
  const expiresAt = mode.refresh?.expiresAt(credentials);
  const marginMs = MARGIN_MS + (mode.refresh?.responseTookMs?.(credentials) ?? 0);
  return expiresAt !== undefined && expiresAt <= now() + marginMs;
}

import type { ConnectionContext, OpenConnection } from '../connections/connection-context.ts';
import { NO_REFRESH_TOKEN } from '../connections/status-message.ts';
import { NangoError } from '../errors/nango-error.ts';
import { isExpired } from './token-times.ts';

/** Returns a connection that is not due. Throws `needs_reconnect` if its token has expired: it is not refreshable. */
export async function assertUsable(connection: OpenConnection, context: ConnectionContext): Promise<OpenConnection> {
  if (!isExpired(connection, context)) return connection;
  const { row } = connection;
  const reason = row.statusReason ?? NO_REFRESH_TOKEN;
  if (row.status === 'active') await markNeedsReconnect(connection, { reason, holder: null }, context);
  throw new NangoError('needs_reconnect', `User "${row.userId}" has to connect "${row.integration}" again: ${reason}`);
}

/** Marks a connection, unless it changed meanwhile. `holder` holds its lease; null = nobody does. */
export async function markNeedsReconnect(
  connection: OpenConnection,
  { reason, holder }: { reason: string; holder: string | null },
  { store, now }: ConnectionContext,
): Promise<OpenConnection | undefined> {
  const by = { version: connection.row.version, holder };
  const marked = await store.markNeedsReconnect(connection.row, { reason, by, now: now() });
  return marked && { ...connection, row: marked };
}

/** Returns a connection whose token is still valid although its refresh failed. Otherwise throws `refresh_failed`. */
export function serveWhileValid(
  connection: OpenConnection,
  { retryInMs, why, cause }: { retryInMs: number; why: string; cause?: unknown },
  context: ConnectionContext,
): OpenConnection {
  if (!isExpired(connection, context)) return connection;
  throw new NangoError('refresh_failed', `The access token expired and could not be refreshed: ${why}`, {
    cause,
    retryAfter: Math.ceil(retryInMs / 1000),
  });
}

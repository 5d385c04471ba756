import type { BaseCredentials } from '../auth-modes/auth-mode.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import {
  modeContext,
  openConnection,
  type ConnectionContext,
  type OpenConnection,
} from '../connections/connection-context.ts';
import { formatScopes } from '../connections/granted-scopes.ts';
import { createSeal } from '../connections/sealed-credentials.ts';
import { backOffMs } from '../scheduling/back-off.ts';
import type { ConnectionRow } from '../store/store.ts';
import { isLastRefusal, isRevoked, isUnexplainedRefusal, mayHaveResponded } from './refresh-failure.ts';
import { scheduleOf } from './refresh-schedule.ts';
import { isExpired } from './token-times.ts';
import { assertUsable, markNeedsReconnect, serveWhileValid } from './usable-connection.ts';

const LEASE_MS = 15_000;
const EXTEND_EVERY_MS = 5_000;
const MAX_WRITE_RETRY_MS = 120_000;

/**
 * A refreshed connection; `superseded` if another server or a reconnect came first, so the connection must be read
 * again.
 */
export type Refreshed = OpenConnection | 'superseded';

/**
 * Refreshes a connection under a lease. The lease is short. Its holder extends it during the request; if the holder
 * dies, another server takes it over. Only the holder writes the new credentials, and only if the old ones were not
 * replaced meanwhile. Resolves to undefined if another server has the lease, or if the connection changed. Throws
 * `needs_reconnect`, and `refresh_failed` if the token has expired.
 */
export async function refreshLeased(
  { row: read }: OpenConnection,
  context: ConnectionContext,
): Promise<Refreshed | undefined> {
  const { store, randomToken } = context;
  const holder = randomToken();
  const leased = await store.leaseRefresh(read, { holder, version: read.version, lifeMs: LEASE_MS });
  if (!leased) return undefined;
  const connection = openConnection(leased, context);
  const { integration, mode, credentials, config } = connection;
  const extend = () => store.extendLease(leased, { holder, lifeMs: LEASE_MS });
  // A lease that cannot be extended expires. Another server may then store its tokens first; ours are dropped.
  const extending = setInterval(() => void extend().catch(() => undefined), EXTEND_EVERY_MS).unref();
  let refreshed: BaseCredentials | undefined;
  try {
    refreshed = await mode.refresh?.refresh({ integration, config, credentials }, modeContext(integration, context));
  } catch (error) {
    return await afterFailure(connection, { holder, error }, context);
  } finally {
    clearInterval(extending);
  }
  return refreshed ? storeRefreshed(connection, { holder, refreshed }, context) : connection;
}

/** Stores new tokens. They exist only here and the old refresh token may be invalid, so the write is retried. */
async function storeRefreshed(
  connection: OpenConnection,
  { holder, refreshed }: { holder: string; refreshed: BaseCredentials },
  context: ConnectionContext,
): Promise<Refreshed> {
  const { store, now, log, onRefresh } = context;
  const { row, mode, integration, oauthClient } = connection;
  const wasExpired = isExpired({ mode, credentials: refreshed }, context);
  const schedule = scheduleOf(refreshed, connection, context);
  const granted = mode.scopes?.granted(refreshed, integration);
  const grant = granted ? { grantedScopes: formatScopes(granted) } : {};
  const write = async () => {
    const seal = await createSeal({ credentials: refreshed, oauthClient }, row, context);
    const change = { sealedCredentials: seal(row.id), ...schedule, grant, now: now() };
    return store.updateCredentials(row, change, { version: row.version, holder });
  };
  const written = await retryUntilAvailable(row, write, context);
  const isApplied = written !== undefined;
  log.info({ integration: row.integration, connection: row.id, applied: isApplied }, 'access token refreshed');
  onRefresh(row.integration, isApplied ? 'renewed' : 'superseded');
  // Otherwise a reconnect, a delete or another server came first and takes precedence.
  if (!written) return 'superseded';
  // A short lifetime may have passed while the store was down. A token that had expired when it was issued is not
  // refreshed again: the next one would have expired too.
  const opened = openConnection(written, context);
  return isExpired(opened, context) && !wasExpired ? 'superseded' : opened;
}

async function retryUntilAvailable<T>(
  { integration, id }: ConnectionRow,
  write: () => Promise<T>,
  { now, delay, random, log }: ConnectionContext,
): Promise<T> {
  const deadline = now() + MAX_WRITE_RETRY_MS;
  for (let retries = 0; ; retries += 1) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof NangoError) || error.code !== 'store_unavailable' || now() >= deadline) throw error;
      log.error({ integration, connection: id, err: error, retries }, 'refreshed tokens cannot be stored yet');
      await delay(backOffMs(Math.min(retries, 2), { random }));
    }
  }
}

async function afterFailure(
  connection: OpenConnection,
  { holder, error }: { holder: string; error: unknown },
  context: ConnectionContext,
): Promise<Refreshed> {
  const { row } = connection;
  const { store, log, random, now, onRefresh } = context;
  const why = messageOf(error);
  const note = reconnectNote(connection, error);
  onRefresh(row.integration, note === undefined ? 'failed' : 'needs_reconnect');
  log.warn({ integration: row.integration, connection: row.id, err: error }, 'access token could not be refreshed');
  if (note !== undefined) {
    const marked = await markNeedsReconnect(connection, { holder, reason: `${why}${note}` }, context);
    return marked ? assertUsable(marked, context) : 'superseded';
  }
  const requestedMs = error instanceof NangoError && error.retryAfter !== undefined ? error.retryAfter * 1000 : 0;
  const retryInMs = Math.max(backOffMs(row.refresh.failures, { random }), requestedMs);
  const failure = {
    holder,
    retryInMs,
    error: why,
    responseLost: mayHaveResponded(error),
    refused: isUnexplainedRefusal(error),
    now: now(),
  };
  // If the database is down too, the lease expires by itself, with the same effect.
  await store.failRefresh(row, failure).catch((cause: unknown) => log.error({ err: cause }, 'failure not recorded'));
  return serveWhileValid(connection, { retryInMs, why, cause: error }, context);
}

/** Returns what to add to the provider's message if the user has to connect again; undefined if they need not. */
function reconnectNote({ row, integration }: OpenConnection, error: unknown): string | undefined {
  const days = integration.reconnectAfterRefusedDays;
  if (isRevoked(error))
    return row.refresh.responseLost ? ' An earlier response with new tokens may have been lost.' : '';
  const isGone = isUnexplainedRefusal(error) && isLastRefusal(row.refresh, days);
  return isGone ? `; the provider has rejected every refresh for ${days} days` : undefined;
}

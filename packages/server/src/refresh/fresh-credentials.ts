import type { BaseCredentials } from '../auth-modes/auth-mode.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import {
  modeContext,
  openConnection,
  type ConnectionContext,
  type OpenConnection,
} from '../connections/connection-context.ts';
import type { ConnectionIdentity } from '../store/store.ts';
import { readReferenced, throwNotFound, type ConnectionReference } from '../connections/connection-reference.ts';
import { formatScopes } from '../connections/granted-scopes.ts';
import { createSeal } from '../connections/sealed-credentials.ts';
import type { ConnectionCache } from './connection-cache.ts';
import { FairLimit } from '../scheduling/fair-limit.ts';
import { backoffMs, scheduleOf } from './refresh-schedule.ts';
import { isLastRefusal, isRevoked, isUnexplainedRefusal, mayHaveResponded } from './refresh-failure.ts';

const LEASE_MS = 15_000;
const EXTEND_EVERY_MS = 5_000;
const FIRST_WAIT_MS = 25;
const MAX_WAIT_MS = 1_000;
// This many waits for another server take about five seconds. Then a token that is still valid is served.
const MAX_WAITS = 10;
const MAX_WRITE_RETRY_MS = 120_000;
// A token that is served shortly before its expiry could expire on its way to the API.
const MARGIN_MS = 500;

// A refresh that takes longer counts as slow, and no longer delays others.
const SLOW_MS = 250;
const NO_REFRESH_TOKEN = 'The access token expired and there is no refresh token.';

// If an API rejects every token, not every request may cause a refresh.
const REJECTION_PAUSE_MS = 60_000;

/**
 * A refreshed connection; `changed` if another server or a reconnect came first, so the connection must be read again.
 */
type Refreshed = OpenConnection | 'changed';

/**
 * Returns connections whose credentials are fresh. A token that is about to expire is refreshed first, by exactly one
 * request across all callers and servers.
 *
 * Connections in use are cached. Callers in one process share a refresh. Processes coordinate by a lease in the store.
 * The lease is short. Its holder extends it during the request; if the holder dies, another server takes it over. New
 * credentials are stored before any caller receives them. Only the holder of the lease writes them, and only if the old
 * ones were not replaced meanwhile.
 */
export class FreshCredentials {
  readonly #context: ConnectionContext;
  readonly #cache: ConnectionCache;
  readonly #limit = new FairLimit({ slowMs: SLOW_MS });
  readonly #refreshes = new Map<string, Promise<OpenConnection | undefined>>();

  constructor(context: ConnectionContext, cache: ConnectionCache) {
    this.#context = context;
    this.#cache = cache;
  }

  /**
   * Returns a connection whose credentials can be used now. Throws `connection_not_found`, `needs_reconnect`, and
   * `refresh_failed` if the token expired and cannot be refreshed now.
   */
  async get(reference: ConnectionReference): Promise<OpenConnection> {
    const cached = this.cached(reference);
    if (cached) return cached;
    try {
      return await this.#get(reference);
    } catch (error) {
      const cachedEarlier = this.#cache.cachedForOutage(reference);
      const withoutStore = error instanceof NangoError && error.code === 'store_unavailable';
      if (withoutStore && cachedEarlier && this.#isCurrent(cachedEarlier) && !this.#isExpired(cachedEarlier))
        return cachedEarlier;
      throw error;
    }
  }

  /** Returns a cached connection that needs no refresh, without waiting. Undefined if there is none. */
  cached(reference: ConnectionReference): OpenConnection | undefined {
    const cached = this.#cache.fresh(reference);
    return cached && this.#isCurrent(cached) && !this.#isDue(cached) && !this.#isExpired(cached) ? cached : undefined;
  }

  /**
   * Returns a connection with another token, after the API rejected (401) a token that had not expired. The token is
   * refreshed unless another caller has done so. Undefined if there is no other token, or if the token is so new that
   * the API would reject another one too. Throws the errors of {@link FreshCredentials.get}.
   */
  async afterRejection(rejected: OpenConnection): Promise<OpenConnection | undefined> {
    const { row, mode, integration, credentials } = rejected;
    const current = await this.#read(row);
    if (current.row.version !== row.version) return this.get(row);
    const refreshable = mode.refresh?.isRefreshable(credentials, integration) ?? false;
    const isNew = this.#context.now() - current.row.updatedAt < REJECTION_PAUSE_MS;
    if (!refreshable || isNew || current.row.status !== 'active' || current.row.refresh.retryInMs !== null)
      return undefined;
    const refreshed = await this.#once(row, () => this.#refresh(row, row.version));
    return refreshed && refreshed.row.version !== row.version ? refreshed : undefined;
  }

  async #get(reference: ConnectionReference): Promise<OpenConnection> {
    for (;;) {
      const connection = await this.#readReactivated(reference);
      if (!this.#isDue(connection)) return this.#assertUsable(connection);
      if (!this.#isExpired(connection) && this.#wouldWait(connection)) return connection;
      const { row } = connection;
      const refreshed = await this.#once(row, () => this.#refresh(row));
      // A background refresh that left the work to another server has no result.
      if (refreshed) return refreshed;
    }
  }

  /**
   * Refreshes a due connection ahead of time. Does nothing if another server has begun. Resolves to false if the
   * connection holds nothing to refresh with.
   */
  async refreshAhead(due: ConnectionIdentity): Promise<boolean> {
    const connection = await this.#read(due);
    const { row, mode, integration, credentials } = connection;
    const isDue = row.dueAt !== null && row.dueAt <= this.#context.now();
    if (!isDue || row.refresh.leasedMs !== null || row.refresh.retryInMs !== null) return true;
    const refreshable = scheduleOf(credentials, { mode, integration }, this.#context).dueAt !== null;
    if (!refreshable) return false;
    await this.#once(row, async () => {
      const refreshed = await this.#refreshLeased(connection);
      return refreshed === 'changed' ? undefined : refreshed;
    });
    return true;
  }

  /** Resolves when no refresh is in flight. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#refreshes.values());
  }

  #once(
    { id }: ConnectionIdentity,
    start: () => Promise<OpenConnection | undefined>,
  ): Promise<OpenConnection | undefined> {
    const running = this.#refreshes.get(id);
    if (running) return running;
    const refresh = start().finally(() => this.#refreshes.delete(id));
    this.#refreshes.set(id, refresh);
    return refresh;
  }

  /**
   * Refreshes a due connection, or the version that an API `rejected`. Reads it again each time, because a refresh may
   * have ended since the caller's read.
   */
  async #refresh(due: ConnectionIdentity, rejected?: number): Promise<OpenConnection> {
    for (let waits = 0; ; waits += 1) {
      const connection = await this.#read(due);
      const { version, status } = connection.row;
      const isRejected = version === rejected && status === 'active';
      if (!isRejected && !this.#isDue(connection)) return this.#assertUsable(connection);
      const { retryInMs, leasedMs, lastError } = connection.row.refresh;
      if (retryInMs !== null) return this.#serveWhileValid(connection, { retryInMs, why: lastError ?? '' });
      const refreshed = leasedMs === null ? await this.#refreshLeased(connection) : undefined;
      if (refreshed === 'changed') continue;
      if (refreshed) return refreshed;
      if (waits >= MAX_WAITS && !this.#isExpired(connection)) return connection;
      const { delay, random } = this.#context;
      await delay(Math.min(FIRST_WAIT_MS * 2 ** waits, MAX_WAIT_MS) * (0.5 + random() / 2));
    }
  }

  /** Whether a refresh would first wait for refreshes of other users. A valid token is served without such a wait. */
  #wouldWait({ integration }: OpenConnection): boolean {
    return this.#limit.isFull(integration.name, integration.refreshConcurrency);
  }

  /** Refreshes a connection under a lease. Undefined if another server has the lease. */
  #refreshLeased(connection: OpenConnection): Promise<Refreshed | undefined> {
    const { name, refreshConcurrency } = connection.integration;
    return this.#limit.run(name, refreshConcurrency, async () => {
      const { store, randomToken } = this.#context;
      const { row } = connection;
      const holder = randomToken();
      const leased = await store.leaseRefresh(row, { holder, version: row.version, lifeMs: LEASE_MS });
      return leased && this.#refreshHolding(openConnection(leased, this.#context), holder);
    });
  }

  async #refreshHolding(connection: OpenConnection, holder: string): Promise<Refreshed> {
    const { row, integration, mode, credentials, config } = connection;
    const extend = () => this.#context.store.extendLease(row, { holder, lifeMs: LEASE_MS });
    // A lease that cannot be extended expires. Another server may then store its tokens first; ours are dropped.
    const extending = setInterval(() => void extend().catch(() => undefined), EXTEND_EVERY_MS).unref();
    let refreshed: BaseCredentials | undefined;
    try {
      refreshed = await mode.refresh?.refresh(
        { integration, config, credentials },
        modeContext(integration, this.#context),
      );
    } catch (error) {
      return await this.#afterFailure(connection, { holder, error });
    } finally {
      clearInterval(extending);
    }
    return refreshed ? this.#store(connection, { holder, refreshed }) : connection;
  }

  /** Stores new tokens. They exist only here and the old refresh token may be invalid, so the write is retried. */
  async #store(
    connection: OpenConnection,
    { holder, refreshed }: { holder: string; refreshed: BaseCredentials },
  ): Promise<Refreshed> {
    const { store, now, log, onRefresh } = this.#context;
    const { row } = connection;
    const wasExpired = this.#isExpired({ ...connection, credentials: refreshed });
    const schedule = scheduleOf(refreshed, connection, this.#context);
    const granted = connection.mode.scopes?.granted(refreshed, connection.integration);
    const grant = granted ? { grantedScopes: formatScopes(granted) } : {};
    const write = async () => {
      const { oauthClient } = connection;
      const seal = await createSeal({ credentials: refreshed, oauthClient }, row, this.#context);
      const change = { sealedCredentials: seal(row.id), ...schedule, grant, now: now() };
      return store.updateCredentials(row, change, { version: row.version, holder });
    };
    const written = await this.#retryUntilAvailable(row, write);
    log.info(
      { integration: row.integration, connection: row.id, applied: written !== undefined },
      'access token refreshed',
    );
    onRefresh(row.integration, written ? 'renewed' : 'superseded');
    // A short lifetime may have passed while the store was down. A token that had expired when it was issued is not
    // refreshed again: the next one would have expired too.
    const opened = written && openConnection(written, this.#context);
    if (opened) return this.#isExpired(opened) && !wasExpired ? 'changed' : opened;
    // A reconnect, a delete or another server came first and takes precedence.
    const current = await this.#read(row);
    return current.row.version !== row.version && !this.#isExpired(current) ? current : 'changed';
  }

  async #retryUntilAvailable<T>({ integration, id }: OpenConnection['row'], write: () => Promise<T>): Promise<T> {
    const { now, delay, random, log } = this.#context;
    const deadline = now() + MAX_WRITE_RETRY_MS;
    for (let retries = 0; ; retries += 1) {
      try {
        return await write();
      } catch (error) {
        if (!(error instanceof NangoError) || error.code !== 'store_unavailable' || now() >= deadline) throw error;
        log.error({ integration, connection: id, err: error, retries }, 'refreshed tokens cannot be stored yet');
        await delay(backoffMs(Math.min(retries, 2), { random }));
      }
    }
  }

  async #afterFailure(
    connection: OpenConnection,
    { holder, error }: { holder: string; error: unknown },
  ): Promise<Refreshed> {
    const { row } = connection;
    const { store, log, random, now, onRefresh } = this.#context;
    const why = messageOf(error);
    const note = reconnectNote(connection, error);
    onRefresh(row.integration, note === undefined ? 'failed' : 'needs_reconnect');
    log.warn({ integration: row.integration, connection: row.id, err: error }, 'access token could not be refreshed');
    if (note !== undefined) {
      const marked = await this.#markNeedsReconnect(connection, { holder, reason: `${why}${note}` });
      return marked ? this.#assertUsable(marked) : 'changed';
    }
    const requestedMs = error instanceof NangoError && error.retryAfter !== undefined ? error.retryAfter * 1000 : 0;
    const retryInMs = Math.max(backoffMs(row.refresh.failures, { random }), requestedMs);
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
    return this.#serveWhileValid(connection, { retryInMs, why, cause: error });
  }

  /** Returns a connection whose token is still valid although its refresh failed. Otherwise throws `refresh_failed`. */
  #serveWhileValid(
    connection: OpenConnection,
    { retryInMs, why, cause }: { retryInMs: number; why: string; cause?: unknown },
  ): OpenConnection {
    if (!this.#isExpired(connection)) return connection;
    throw new NangoError('refresh_failed', `The access token expired and could not be refreshed: ${why}`, {
      cause,
      retryAfter: Math.ceil(retryInMs / 1000),
    });
  }

  async #markNeedsReconnect(
    connection: OpenConnection,
    { reason, holder }: { reason: string; holder: string | null },
  ): Promise<OpenConnection | undefined> {
    const { store, now } = this.#context;
    const marked = await store.markNeedsReconnect(connection.row, {
      reason,
      by: { version: connection.row.version, holder },
      now: now(),
    });
    return marked && { ...connection, row: marked };
  }

  /**
   * Reads a connection. An earlier version marked connections as `needs_reconnect` although they have a refresh token.
   * Such a connection becomes active again, once.
   */
  async #readReactivated(reference: ConnectionReference): Promise<OpenConnection> {
    const connection = await this.#read(reference);
    const { row } = connection;
    if (row.statusReason !== NO_REFRESH_TOKEN || !this.#isExpiredAndRefreshable(connection)) return connection;
    const change = { reason: NO_REFRESH_TOKEN, version: row.version, now: this.#context.now() };
    await this.#context.store.reactivate(row, change);
    return this.#read(reference);
  }

  async #read(reference: ConnectionReference): Promise<OpenConnection> {
    const connection = await this.#cache.load(reference, async () => {
      const row = await readReferenced(reference, this.#context);
      return row && openConnection(row, this.#context);
    });
    return connection ?? throwNotFound(reference, this.#context);
  }

  /** Whether a cached connection equals a fresh read: it is active, and its Integration was not edited. */
  #isCurrent({ row, configured }: OpenConnection): boolean {
    return row.status === 'active' && this.#context.config().integrations.get(row.integration) === configured;
  }

  /**
   * Whether a connection must be refreshed before use: it is due, or its token has expired. A connection that needs its
   * user is not refreshed again, because the provider has rejected it.
   */
  #isDue(connection: OpenConnection): boolean {
    const { row, mode, integration, credentials } = connection;
    if (row.status !== 'active') return false;
    const dueAt = mode.refresh?.dueAt(credentials, integration);
    return (dueAt !== undefined && dueAt <= this.#context.now()) || this.#isExpiredAndRefreshable(connection);
  }

  #isExpiredAndRefreshable(connection: OpenConnection): boolean {
    const { mode, integration, credentials } = connection;
    return this.#isExpired(connection) && mode.refresh?.isRefreshable(credentials, integration) === true;
  }

  /**
   * Whether a token is too old to serve. Its lifetime here begins when the response was received. The provider's begins
   * earlier, by at most the time that the response took.
   */
  #isExpired({ mode, credentials }: Pick<OpenConnection, 'mode' | 'credentials'>): boolean {
    const expiresAt = mode.refresh?.expiresAt(credentials);
    const marginMs = MARGIN_MS + (mode.refresh?.responseTookMs?.(credentials) ?? 0);
    return expiresAt !== undefined && expiresAt <= this.#context.now() + marginMs;
  }

  /** Returns a connection that is not due. Throws `needs_reconnect` if its token has expired: it is not refreshable. */
  async #assertUsable(connection: OpenConnection): Promise<OpenConnection> {
    if (!this.#isExpired(connection)) return connection;
    const { row } = connection;
    const reason = row.statusReason ?? NO_REFRESH_TOKEN;
    if (row.status === 'active') await this.#markNeedsReconnect(connection, { reason, holder: null });
    throw new NangoError(
      'needs_reconnect',
      `User "${row.userId}" has to connect "${row.integration}" again: ${reason}`,
    );
  }
}

/** Returns what to add to the provider's message if the user has to connect again; undefined if they need not. */
function reconnectNote({ row, integration }: OpenConnection, error: unknown): string | undefined {
  const days = integration.reconnectAfterRefusedDays;
  if (isRevoked(error))
    return row.refresh.responseLost ? ' An earlier response with new tokens may have been lost.' : '';
  const isGone = isUnexplainedRefusal(error) && isLastRefusal(row.refresh, days);
  return isGone ? `; the provider has rejected every refresh for ${days} days` : undefined;
}

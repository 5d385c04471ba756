import { NangoError } from '../errors/nango-error.ts';
import { openConnection, type ConnectionContext, type OpenConnection } from '../connections/connection-context.ts';
import type { ConnectionIdentity, ConnectionRow } from '../store/store.ts';
import { readReferenced, throwNotFound, type ConnectionReference } from '../connections/connection-reference.ts';
import type { ConnectionCache } from './connection-cache.ts';
import { FairLimit } from '../scheduling/fair-limit.ts';
import { refreshLeased, type Refreshed } from './leased-refresh.ts';
import { scheduleOf } from './refresh-schedule.ts';
import { isDue, isExpired, isExpiredAndRefreshable } from './token-times.ts';
import { NO_REFRESH_TOKEN } from '../connections/status-message.ts';
import { assertUsable, serveWhileValid } from './usable-connection.ts';

const FIRST_WAIT_MS = 25;
const MAX_WAIT_MS = 1_000;
// This many waits for another server take about five seconds. Then a token that is still valid is served.
const MAX_WAITS = 10;

// A refresh that takes longer counts as slow, and no longer delays others.
const SLOW_MS = 250;

// If an API rejects every token, not every request may cause a refresh.
const REJECTION_PAUSE_MS = 60_000;

/**
 * Returns connections whose credentials are fresh. A token that is about to expire is refreshed first, by exactly one
 * request across all callers and servers.
 *
 * Connections in use are cached. Callers in one process share a refresh. Processes coordinate by a lease in the store,
 * see {@link refreshLeased}. New credentials are stored before any caller receives them.
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
      if (withoutStore && cachedEarlier && this.#isCurrent(cachedEarlier) && !isExpired(cachedEarlier, this.#context))
        return cachedEarlier;
      throw error;
    }
  }

  /** Returns a cached connection that needs no refresh, without waiting. Undefined if there is none. */
  cached(reference: ConnectionReference): OpenConnection | undefined {
    const cached = this.#cache.fresh(reference);
    return cached && this.#isCurrent(cached) && !isDue(cached, this.#context) && !isExpired(cached, this.#context)
      ? cached
      : undefined;
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
      if (!isDue(connection, this.#context)) return assertUsable(connection, this.#context);
      if (!isExpired(connection, this.#context) && this.#wouldWait(connection)) return connection;
      const { row } = connection;
      const refreshed = await this.#once(row, () => this.#refresh(row));
      // A background refresh that left the work to another server has no result.
      if (refreshed) return refreshed;
    }
  }

  /**
   * Refreshes a due connection ahead of time. Does nothing if another server has begun, or if the connection changed
   * since its row was read. Resolves to false if the connection holds nothing to refresh with.
   */
  async refreshAhead(due: ConnectionRow): Promise<boolean> {
    const { leasedMs, retryInMs } = due.refresh;
    if (due.dueAt === null || due.dueAt > this.#context.now() || leasedMs !== null || retryInMs !== null) return true;
    const connection = openConnection(due, this.#context);
    const { mode, integration, credentials } = connection;
    if (scheduleOf(credentials, { mode, integration }, this.#context).dueAt === null) return false;
    await this.#once(due, async () => {
      const refreshed = await this.#refreshInTurn(connection);
      return refreshed === 'superseded' ? undefined : refreshed;
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
      if (!isRejected && !isDue(connection, this.#context)) return assertUsable(connection, this.#context);
      const { retryInMs, leasedMs, lastError } = connection.row.refresh;
      if (retryInMs !== null) return serveWhileValid(connection, { retryInMs, why: lastError ?? '' }, this.#context);
      const refreshed = leasedMs === null ? await this.#refreshInTurn(connection) : undefined;
      if (refreshed === 'superseded') {
        const current = await this.#read(due);
        if (current.row.version !== version && !isExpired(current, this.#context)) return current;
        continue;
      }
      if (refreshed) return refreshed;
      if (waits >= MAX_WAITS && !isExpired(connection, this.#context)) return connection;
      const { delay, random } = this.#context;
      await delay(Math.min(FIRST_WAIT_MS * 2 ** waits, MAX_WAIT_MS) * (0.5 + random() / 2));
    }
  }

  /** Whether a refresh would first wait for refreshes of other users. A valid token is served without such a wait. */
  #wouldWait({ integration }: OpenConnection): boolean {
    return this.#limit.isFull(integration.name, integration.refreshConcurrency);
  }

  /** Refreshes a connection when it is its turn among those of its Integration. */
  #refreshInTurn(connection: OpenConnection): Promise<Refreshed | undefined> {
    const { name, refreshConcurrency } = connection.integration;
    return this.#limit.run(name, refreshConcurrency, () => refreshLeased(connection, this.#context));
  }

  /**
   * Reads a connection. An earlier version marked connections as `needs_reconnect` although they have a refresh token.
   * Such a connection becomes active again, once.
   */
  async #readReactivated(reference: ConnectionReference): Promise<OpenConnection> {
    const connection = await this.#read(reference);
    const { row } = connection;
    if (row.statusReason !== NO_REFRESH_TOKEN || !isExpiredAndRefreshable(connection, this.#context)) return connection;
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
}

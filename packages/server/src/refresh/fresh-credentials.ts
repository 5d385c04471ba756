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
import { createSeal } from '../connections/sealed-credentials.ts';
import type { ConnectionCache } from './connection-cache.ts';
import { FairLimit } from '../scheduling/fair-limit.ts';
import { backoffMs, scheduleOf } from './refresh-schedule.ts';
import { isLastRefusal, isRevoked, isUnexplainedRefusal, mayHaveResponded } from './refresh-failure.ts';

const LEASE_MS = 15_000;
const EXTEND_EVERY_MS = 5_000;
const FIRST_WAIT_MS = 25;
const MAX_WAIT_MS = 1_000;
// So many waits for another server take about five seconds. After that, a token that is still valid is served.
const PATIENCE = 10;
const WRITE_PATIENCE_MS = 120_000;
// A token that is served at the very end of its lifetime would have expired when it arrives.
const MARGIN_MS = 500;

// Refreshes that respond in time. One that hangs delays others no longer than this.
const SLOW_MS = 250;
const NOTHING_TO_REFRESH_WITH = 'The access token expired and there is no refresh token.';

// If an API rejects every token, not every request may refresh one.
const REJECTION_PAUSE_MS = 60_000;

/**
 * A refreshed connection; `changed` if another server or a reconnect came first, so the connection must be read again.
 */
type Refreshed = OpenConnection | 'changed';

/**
 * Returns connections whose credentials are fresh. A token that is about to expire is refreshed first, by exactly one
 * request across all callers and servers.
 *
 * Connections in use are cached. Callers in one process share a refresh. Processes agree by a lease in the store. It is
 * short, extended during the request, and taken over if its holder dies. New credentials are stored before anyone sees
 * them. Only the lease's holder writes them, and only if nobody replaced the old ones meanwhile.
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
   * Throws `connection_not_found`, `needs_reconnect`, and `refresh_failed` if the token expired and cannot be refreshed
   * now.
   */
  async get(reference: ConnectionReference): Promise<OpenConnection> {
    const cached = this.cached(reference);
    if (cached) return cached;
    try {
      return await this.#get(reference);
    } catch (error) {
      const known = this.#cache.lastKnown(reference);
      const withoutStore = error instanceof NangoError && error.code === 'store_unavailable';
      if (withoutStore && known && this.#isCurrent(known) && !this.#isExpired(known)) return known;
      throw error;
    }
  }

  /** A cached connection that needs no refresh, for callers that then need not wait. */
  cached(reference: ConnectionReference): OpenConnection | undefined {
    const cached = this.#cache.fresh(reference);
    return cached && this.#isCurrent(cached) && !this.#isDue(cached) && !this.#isExpired(cached) ? cached : undefined;
  }

  /**
   * For a connection whose valid token the API rejected (401): returns the connection with another token, refreshed
   * unless somebody did so already. Undefined if there is none, or if the token is so new that another would be
   * rejected too. Throws the errors of {@link FreshCredentials.get}.
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
      const connection = await this.#readTriable(reference);
      if (!this.#isDue(connection)) return this.#assertUsable(connection);
      if (!this.#isExpired(connection) && this.#wouldWait(connection)) return connection;
      const { row } = connection;
      const refreshed = await this.#once(row, () => this.#refresh(row));
      // A background refresh that left the work to another server has no result.
      if (refreshed) return refreshed;
    }
  }

  /**
   * Refreshes a connection that the background found due. Does nothing if another server has begun. False if there is
   * nothing to refresh with.
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
      if (waits >= PATIENCE && !this.#isExpired(connection)) return connection;
      const { delay, random } = this.#context;
      await delay(Math.min(FIRST_WAIT_MS * 2 ** waits, MAX_WAIT_MS) * (0.5 + random() / 2));
    }
  }

  /** Whether a refresh would first wait for those of other users. A valid token is served without such a wait. */
  #wouldWait({ integration }: OpenConnection): boolean {
    return this.#limit.isFull(integration.name, integration.refreshConcurrency);
  }

  /** Undefined if another server has the lease. */
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
    // A lease that cannot be extended expires. Then the write decides.
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

  /** The new tokens exist only here, and the old refresh token may be used up. The write is tried until it succeeds. */
  async #store(
    connection: OpenConnection,
    { holder, refreshed }: { holder: string; refreshed: BaseCredentials },
  ): Promise<Refreshed> {
    const { store, now, log, onRefresh } = this.#context;
    const { row } = connection;
    const wasExpired = this.#isExpired({ ...connection, credentials: refreshed });
    const schedule = scheduleOf(refreshed, connection, this.#context);
    const write = async () => {
      const seal = await createSeal(refreshed, row, this.#context);
      const change = { sealedCredentials: seal(row.id), ...schedule, now: now() };
      return store.updateCredentials(row, change, { version: row.version, holder });
    };
    const written = await this.#untilAvailable(row, write);
    log.info(
      { integration: row.integration, connection: row.id, applied: written !== undefined },
      'access token refreshed',
    );
    onRefresh(row.integration, written ? 'renewed' : 'superseded');
    // A short lifetime may have passed while the store was down. A token that was expired when it was issued would be
    // so again.
    const opened = written && openConnection(written, this.#context);
    if (opened) return this.#isExpired(opened) && !wasExpired ? 'changed' : opened;
    // A reconnect, a delete or another server came first and takes precedence.
    const current = await this.#read(row);
    return current.row.version !== row.version && !this.#isExpired(current) ? current : 'changed';
  }

  async #untilAvailable<T>({ integration, id }: OpenConnection['row'], write: () => Promise<T>): Promise<T> {
    const { now, delay, random, log } = this.#context;
    const deadline = now() + WRITE_PATIENCE_MS;
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
    const gone = whyGone(connection, error);
    onRefresh(row.integration, gone === undefined ? 'failed' : 'needs_reconnect');
    log.warn({ integration: row.integration, connection: row.id, err: error }, 'access token could not be refreshed');
    if (gone !== undefined) {
      const marked = await this.#markNeedsReconnect(connection, { holder, reason: `${why}${gone}` });
      return marked ? this.#assertUsable(marked) : 'changed';
    }
    const named = error instanceof NangoError && error.retryAfter !== undefined ? error.retryAfter * 1000 : 0;
    const retryInMs = Math.max(backoffMs(row.refresh.failures, { random }), named);
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

  /** While the token is still valid, a provider that is down costs nothing. */
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
   * An earlier version gave up on this connection although it has a refresh token. It becomes active once, before it is
   * tried.
   */
  async #readTriable(reference: ConnectionReference): Promise<OpenConnection> {
    const connection = await this.#read(reference);
    const { row } = connection;
    if (row.statusReason !== NOTHING_TO_REFRESH_WITH || !this.#isExpiredAndRefreshable(connection)) return connection;
    const change = { reason: NOTHING_TO_REFRESH_WITH, version: row.version, now: this.#context.now() };
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
  #isCurrent({ row, integration }: OpenConnection): boolean {
    return row.status === 'active' && this.#context.config().integrations.get(row.integration) === integration;
  }

  /**
   * Whether a connection must be refreshed before use: it is due, or its token expired earlier. One that needs its user
   * is not tried again, because the provider has rejected it.
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
   * Whether a token is too old to serve. We count from the receipt of the response; the provider counts from an earlier
   * moment.
   */
  #isExpired({ mode, credentials }: Pick<OpenConnection, 'mode' | 'credentials'>): boolean {
    const expiresAt = mode.refresh?.expiresAt(credentials);
    const marginMs = MARGIN_MS + (mode.refresh?.responseTookMs?.(credentials) ?? 0);
    return expiresAt !== undefined && expiresAt <= this.#context.now() + marginMs;
  }

  /** For a connection that is not due: if its token expired all the same, it cannot be refreshed. */
  async #assertUsable(connection: OpenConnection): Promise<OpenConnection> {
    if (!this.#isExpired(connection)) return connection;
    const { row } = connection;
    const reason = row.statusReason ?? NOTHING_TO_REFRESH_WITH;
    if (row.status === 'active') await this.#markNeedsReconnect(connection, { reason, holder: null });
    throw new NangoError(
      'needs_reconnect',
      `User "${row.userId}" has to connect "${row.integration}" again: ${reason}`,
    );
  }
}

/** What to add to the provider's message if the grant is gone; undefined if it is not. */
function whyGone({ row, integration }: OpenConnection, error: unknown): string | undefined {
  const days = integration.reconnectAfterRefusedDays;
  if (isRevoked(error))
    return row.refresh.responseLost ? ' An earlier response with new tokens may have been lost.' : '';
  const isGone = isUnexplainedRefusal(error) && isLastRefusal(row.refresh, days);
  return isGone ? `; the provider has refused every refresh of these ${days} days` : undefined;
}

import type { BaseCredentials } from '../auth-modes/auth-mode.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { connectionKeyText, type ConnectionKey } from '../store/store.ts';
import {
  modeContext,
  openConnection,
  sealCredentials,
  throwNotFound,
  type ConnectionContext,
  type OpenConnection,
} from '../connections/connection-context.ts';
import type { ConnectionCache } from './connection-cache.ts';
import { FairLimit } from '../scheduling/fair-limit.ts';
import { backoffMs, scheduleOf } from './refresh-schedule.ts';
import { isLastRefusal, isRevoked, isUnexplainedRefusal, mayHaveResponded } from './refresh-failure.ts';

const LEASE_MS = 15_000;
const EXTEND_EVERY_MS = 5_000;
const FIRST_WAIT_MS = 25;
const MAX_WAIT_MS = 1_000;
// Waiting for another server this often takes some five seconds; a token that works all the while is served then.
const PATIENCE = 10;
const WRITE_PATIENCE_MS = 120_000;
// A token that is served at the very end of its life is refused when it arrives.
const MARGIN_MS = 500;

// Calls to a provider that answers in time; one that hangs delays nobody else for longer.
const SLOW_MS = 250;
const NOTHING_TO_REFRESH_WITH = 'The access token expired and there is no refresh token.';

// An API that refuses every token must not have each request refresh one.
const REJECTION_PAUSE_MS = 60_000;

/** A refreshed connection; `changed` when somebody else came first or it is over already, so that it is to be looked at again. */
type Refreshed = OpenConnection | 'changed';

/**
 * Hands out connections whose credentials are fresh: an access token about to expire is refreshed first, with one token
 * call however many callers wait, in however many servers.
 *
 * Connections that are used often come from memory. In one process callers share a refresh. Between processes a lease in the store does it: short, extended while the
 * provider is asked, taken over when its holder dies. New credentials are durable before anyone sees them, and are written
 * by the lease's holder alone, and only if nobody replaced the old ones meanwhile.
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

  /** Throws `connection_not_found`, `needs_reconnect`, and `refresh_failed` when the token expired and cannot be refreshed now. */
  async get(key: ConnectionKey): Promise<OpenConnection> {
    const cached = this.cached(key);
    if (cached) return cached;
    try {
      return await this.#get(key);
    } catch (error) {
      const known = this.#cache.lastKnown(key);
      const withoutStore = error instanceof NangoError && error.code === 'store_unavailable';
      if (withoutStore && known && this.#isCurrent(known) && !this.#isExpired(known)) return known;
      throw error;
    }
  }

  /** A connection that is in memory and needs nothing; for callers that need not wait then. */
  cached(key: ConnectionKey): OpenConnection | undefined {
    const cached = this.#cache.fresh(key);
    return cached && this.#isCurrent(cached) && !this.#isDue(cached) && !this.#isExpired(cached) ? cached : undefined;
  }

  /**
   * For a connection whose token the API refused (401) although it should work: the connection with another token, refreshed
   * where nobody did so since. Undefined when there is none to be had, or the token is so new that another would be
   * refused like it. Throws as {@link FreshCredentials.get} does.
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

  async #get(key: ConnectionKey): Promise<OpenConnection> {
    for (;;) {
      const connection = await this.#readTriable(key);
      if (!this.#isDue(connection)) return this.#assertUsable(connection);
      if (!this.#isExpired(connection) && this.#wouldWait(connection)) return connection;
      const refreshed = await this.#once(key, () => this.#refresh(key));
      // A refresh that the background began, and left to another server, says nothing.
      if (refreshed) return refreshed;
    }
  }

  /**
   * Refreshes a connection the background found due. Leaves it alone where another server has begun. False when there is
   * nothing to refresh it with.
   */
  async refreshAhead(key: ConnectionKey): Promise<boolean> {
    const connection = await this.#read(key);
    const { row, mode, integration, credentials } = connection;
    const due = row.dueAt !== null && row.dueAt <= this.#context.now();
    if (!due || row.refresh.leasedMs !== null || row.refresh.retryInMs !== null) return true;
    const refreshable = scheduleOf(credentials, { mode, integration }, this.#context).dueAt !== null;
    if (!refreshable) return false;
    await this.#once(key, async () => {
      const refreshed = await this.#refreshLeased(connection);
      return refreshed === 'changed' ? undefined : refreshed;
    });
    return true;
  }

  /** Resolves when no refresh is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#refreshes.values());
  }

  #once(key: ConnectionKey, start: () => Promise<OpenConnection | undefined>): Promise<OpenConnection | undefined> {
    const name = connectionKeyText(key);
    const running = this.#refreshes.get(name);
    if (running) return running;
    const refresh = start().finally(() => this.#refreshes.delete(name));
    this.#refreshes.set(name, refresh);
    return refresh;
  }

  /**
   * Refreshes what is due, or the version that an API `rejected`. Reads again each time, since a refresh may have ended
   * between the caller's read and this one's turn.
   */
  async #refresh(key: ConnectionKey, rejected?: number): Promise<OpenConnection> {
    for (let waits = 0; ; waits += 1) {
      const connection = await this.#read(key);
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

  /** Whether a refresh would wait for those of other users first. A token that works is worth no such wait. */
  #wouldWait({ integration }: OpenConnection): boolean {
    return this.#limit.isFull(integration.name, integration.refreshConcurrency);
  }

  /** Undefined when another server has the lease. */
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
    // A lease that cannot be extended runs out; then the write is what decides.
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

  /** The new tokens exist here alone, and the old refresh token may be spent: the write is tried until it succeeds. */
  async #store(
    connection: OpenConnection,
    { holder, refreshed }: { holder: string; refreshed: BaseCredentials },
  ): Promise<Refreshed> {
    const { store, vault, now, log, onRefresh } = this.#context;
    const { row } = connection;
    const wasExpired = this.#isExpired({ ...connection, credentials: refreshed });
    const change = {
      sealedCredentials: sealCredentials(refreshed, row, vault),
      ...scheduleOf(refreshed, connection, this.#context),
      now: now(),
    };
    const write = () => store.updateCredentials(row, change, { version: row.version, holder });
    const written = await this.#untilAvailable(row, write);
    log.info(
      { integration: row.integration, connection: row.uuid, applied: written !== undefined },
      'access token refreshed',
    );
    onRefresh(row.integration, written ? 'renewed' : 'superseded');
    // While the store was away a short life may have passed; one that was over at birth would be so again.
    const opened = written && openConnection(written, this.#context);
    if (opened) return this.#isExpired(opened) && !wasExpired ? 'changed' : opened;
    // A reconnect, a delete or another server came first, and wins.
    const current = await this.#read(row);
    return current.row.version !== row.version && !this.#isExpired(current) ? current : 'changed';
  }

  async #untilAvailable<T>({ integration, uuid }: OpenConnection['row'], write: () => Promise<T>): Promise<T> {
    const { now, delay, random, log } = this.#context;
    const deadline = now() + WRITE_PATIENCE_MS;
    for (let retries = 0; ; retries += 1) {
      try {
        return await write();
      } catch (error) {
        if (!(error instanceof NangoError) || error.code !== 'store_unavailable' || now() >= deadline) throw error;
        log.error({ integration, connection: uuid, err: error, retries }, 'refreshed tokens cannot be stored yet');
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
    log.warn({ integration: row.integration, connection: row.uuid, err: error }, 'access token could not be refreshed');
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
    // With the database away too, the lease runs out by itself and says the same.
    await store.failRefresh(row, failure).catch((cause: unknown) => log.error({ err: cause }, 'failure not recorded'));
    return this.#serveWhileValid(connection, { retryInMs, why, cause: error });
  }

  /** A provider that is down costs nothing while the token still works. */
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

  /** A connection that an earlier version gave up although it had a refresh token is active again: once, before it is tried. */
  async #readTriable(key: ConnectionKey): Promise<OpenConnection> {
    const connection = await this.#read(key);
    const { row } = connection;
    if (row.statusReason !== NOTHING_TO_REFRESH_WITH || !this.#isExpiredAndRefreshable(connection)) return connection;
    const change = { reason: NOTHING_TO_REFRESH_WITH, version: row.version, now: this.#context.now() };
    await this.#context.store.reactivate(row, change);
    return this.#read(key);
  }

  async #read(key: ConnectionKey): Promise<OpenConnection> {
    const connection = await this.#cache.load(key, async () => {
      const row = await this.#context.store.findConnection(key);
      return row && openConnection(row, this.#context);
    });
    return connection ?? throwNotFound(key);
  }

  /** Whether a connection from the cache is what reading it would yield: it works, and its Integration was not edited. */
  #isCurrent({ row, integration }: OpenConnection): boolean {
    return row.status === 'active' && this.#context.config().integrations.get(row.integration) === integration;
  }

  /**
   * Whether a connection is to be refreshed before use: at its time, or when its token expired before that. One known to need
   * its user is not tried again: the provider has said no.
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

  /** Whether a token is not worth serving any more: its life counts from the receipt of its answer, the provider's from before. */
  #isExpired({ mode, credentials }: Pick<OpenConnection, 'mode' | 'credentials'>): boolean {
    const expiresAt = mode.refresh?.expiresAt(credentials);
    const marginMs = MARGIN_MS + (mode.refresh?.responseTookMs?.(credentials) ?? 0);
    return expiresAt !== undefined && expiresAt <= this.#context.now() + marginMs;
  }

  /** For a connection that is not due: what expired all the same cannot be refreshed. */
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

/** What to add to the provider's words when they mean that the grant is gone; undefined when they do not. */
function whyGone({ row, integration }: OpenConnection, error: unknown): string | undefined {
  const days = integration.reconnectAfterRefusedDays;
  if (isRevoked(error)) return row.refresh.responseLost ? ' An earlier answer with new tokens may have been lost.' : '';
  const isGone = isUnexplainedRefusal(error) && isLastRefusal(row.refresh, days);
  return isGone ? `; the provider has refused every refresh of these ${days} days` : undefined;
}

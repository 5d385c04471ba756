import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionWatch } from '../store/connection-watch.ts';
import { connectionKeyText, type Store } from '../store/store.ts';
import type { OpenConnection } from '../connections/connection-context.ts';
import { isById, isOfIntegration, type ConnectionReference } from '../connections/connection-reference.ts';

/**
 * How long a connection may be served after another server changed or deleted it, in milliseconds. It applies if the
 * notice of the change does not arrive: an entry that was not confirmed for this long is read again.
 */
export const STALE_MS = 2_000;

/** Settings of a {@link ConnectionCache}. Functions are called each time, so that a reload takes effect. */
export interface ConnectionCacheOptions {
  /** Maximum number of cached connections; 0 = none. */
  readonly size: () => number;
  /** How long cached connections are served while the database is down, in milliseconds. */
  readonly outageMs: () => number;
  /** Called when a connection changed. */
  readonly onChange?: () => void;
  /** Milliseconds of a monotonic clock, the one of {@link ConnectionWatch}. */
  readonly monotonic?: () => number;
}

const PROBE_MS = 1_000;

interface Entry {
  readonly connection: OpenConnection;
  readonly readAt: number;
  /** Whether it was used since the last eviction considered it. */
  used: boolean;
}

/**
 * Caches opened connections in memory. The store reports every change, so an entry equals a fresh read. If the reports
 * stop, entries are read again after {@link STALE_MS}.
 */
export class ConnectionCache {
  /** By id, oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** By the text of their key. */
  readonly #byKey = new Map<string, Entry>();
  /** Reads in flight, with the changes since they began. */
  readonly #loads = new Set<{ readonly changed: Set<string | undefined> }>();
  readonly #options: ConnectionCacheOptions;
  readonly #monotonic: () => number;
  readonly #watch: ConnectionWatch;
  /** When the store last failed, unless it recovered since. */
  #failedAt: number | undefined;

  constructor(store: Pick<Store, 'watchConnections'>, options: ConnectionCacheOptions) {
    this.#options = options;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#watch = store.watchConnections((id) => {
      this.#drop(id);
      options.onChange?.();
    });
  }

  /** Returns a connection as a read would return it. While the database is down, returns the one that was read last. */
  fresh(reference: ConnectionReference): OpenConnection | undefined {
    const confirmedAt = this.#watch.confirmedAt();
    const entry = this.#find(reference);
    if (!entry) return undefined;
    const age = this.#ageOf(entry, confirmedAt);
    if (age > STALE_MS && !(age <= this.#options.outageMs() && this.#isOutage(confirmedAt))) return undefined;
    entry.used = true;
    return entry.connection;
  }

  /** Returns a connection for use while the store is down, as it was read last. It is at most `outageMs` old. */
  cachedForOutage(reference: ConnectionReference): OpenConnection | undefined {
    const entry = this.#find(reference);
    const isTooOld = entry && this.#ageOf(entry, this.#watch.confirmedAt()) > this.#options.outageMs();
    return isTooOld ? undefined : entry?.connection;
  }

  /** Reads a connection and caches it, unless it changed meanwhile. */
  async load(
    reference: ConnectionReference,
    read: () => Promise<OpenConnection | undefined>,
  ): Promise<OpenConnection | undefined> {
    const load = { changed: new Set<string | undefined>() };
    this.#loads.add(load);
    const readAt = this.#monotonic();
    try {
      const connection = await read();
      this.#failedAt = undefined;
      const { changed } = load;
      if (!connection) this.#remove(this.#find(reference));
      else if (!changed.has(undefined) && !changed.has(connection.row.id))
        this.#add({ connection, readAt, used: false });
      return connection;
    } catch (error) {
      if (error instanceof NangoError && error.code === 'store_unavailable') this.#failedAt = this.#monotonic();
      throw error;
    } finally {
      this.#loads.delete(load);
    }
  }

  /** Stops watching the store, and drops all entries. */
  async close(): Promise<void> {
    await this.#watch.close();
    this.#drop(undefined);
  }

  /** Whether the store is down. Once a second, one caller gets false and tries the store. The others need not wait. */
  #isOutage(confirmedAt: number): boolean {
    const now = this.#monotonic();
    if (this.#failedAt === undefined || this.#failedAt < confirmedAt) return false;
    if (now - this.#failedAt < PROBE_MS) return true;
    this.#failedAt = now;
    return false;
  }

  #ageOf({ readAt }: Entry, confirmedAt: number): number {
    return this.#monotonic() - Math.max(readAt, confirmedAt);
  }

  #find(reference: ConnectionReference): Entry | undefined {
    if (!isById(reference)) return this.#byKey.get(connectionKeyText(reference));
    const entry = this.#entries.get(reference.connectionId);
    return entry && isOfIntegration(entry.connection.row, reference) ? entry : undefined;
  }

  #add(entry: Entry): void {
    const { row } = entry.connection;
    this.#remove(this.#entries.get(row.id));
    this.#remove(this.#byKey.get(connectionKeyText(row)));
    this.#entries.set(row.id, entry);
    this.#byKey.set(connectionKeyText(row), entry);
    while (this.#entries.size > this.#options.size()) this.#evict();
  }

  /**
   * Evicts the oldest entry that was not used since its last turn ("second chance"). A use only sets a flag.
   */
  #evict(): void {
    for (const [id, entry] of this.#entries) {
      if (!entry.used) return this.#remove(entry);
      entry.used = false;
      this.#entries.delete(id);
      this.#entries.set(id, entry);
    }
  }

  #remove(entry: Entry | undefined): void {
    if (!entry) return;
    this.#entries.delete(entry.connection.row.id);
    this.#byKey.delete(connectionKeyText(entry.connection.row));
  }

  #drop(id: string | undefined): void {
    for (const { changed } of this.#loads) changed.add(id);
    if (id !== undefined) return this.#remove(this.#entries.get(id));
    this.#entries.clear();
    this.#byKey.clear();
  }
}

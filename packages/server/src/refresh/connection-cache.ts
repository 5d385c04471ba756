import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionWatch } from '../store/connection-watch.ts';
import { connectionKeyText, type ConnectionKey, type Store } from '../store/store.ts';
import type { OpenConnection } from '../connections/connection-context.ts';

/**
 * How long, in milliseconds, a connection may be served after another server changed or deleted it, when the word of that
 * does not arrive: what was not confirmed for this long is read again.
 */
export const STALE_MS = 2_000;

export interface ConnectionCacheOptions {
  /** Connections held at most; 0 = none. */
  readonly size: () => number;
  /** How long connections are served with the database gone, in milliseconds. */
  readonly outageMs: () => number;
  /** Told when a connection changed. */
  readonly onChange?: () => void;
  /** Milliseconds of a clock that only goes forward, the one of {@link ConnectionWatch}. */
  readonly monotonic?: () => number;
}

const PROBE_MS = 1_000;

interface Entry {
  readonly name: string;
  readonly connection: OpenConnection;
  readonly readAt: number;
  /** Whether it was used since it was last looked at for its place. */
  used: boolean;
}

/**
 * Opened connections that are used, in memory. The store tells of every change, so an entry is as good as a read;
 * when it falls silent, entries are read again after {@link STALE_MS}.
 */
export class ConnectionCache {
  readonly #entries = new Map<string, Entry>();
  readonly #byUuid = new Map<string, Entry>();
  /** Reads under way, with what changed since they began. */
  readonly #loads = new Set<{ readonly changed: Set<string | undefined> }>();
  readonly #options: ConnectionCacheOptions;
  readonly #monotonic: () => number;
  readonly #watch: ConnectionWatch;
  /** When the store could not be asked, if it could not since. */
  #failedAt: number | undefined;

  constructor(store: Pick<Store, 'watchConnections'>, options: ConnectionCacheOptions) {
    this.#options = options;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#watch = store.watchConnections((uuid) => {
      this.#drop(uuid);
      options.onChange?.();
    });
  }

  /** A connection that is as a read would find it; with the database gone, as it was found last. */
  fresh(key: ConnectionKey): OpenConnection | undefined {
    const confirmedAt = this.#watch.confirmedAt();
    const entry = this.#entries.get(connectionKeyText(key));
    if (!entry) return undefined;
    const age = this.#ageOf(entry, confirmedAt);
    if (age > STALE_MS && !(age <= this.#options.outageMs() && this.#isOutage(confirmedAt))) return undefined;
    entry.used = true;
    return entry.connection;
  }

  /** A connection as it was known last, for when the store cannot be asked; not for longer than `outageMs`. */
  lastKnown(key: ConnectionKey): OpenConnection | undefined {
    const entry = this.#entries.get(connectionKeyText(key));
    const tooOld = entry && this.#ageOf(entry, this.#watch.confirmedAt()) > this.#options.outageMs();
    return tooOld ? undefined : entry?.connection;
  }

  /** Reads a connection and keeps it, unless it changed in the meantime. */
  async load(key: ConnectionKey, read: () => Promise<OpenConnection | undefined>): Promise<OpenConnection | undefined> {
    const load = { changed: new Set<string | undefined>() };
    this.#loads.add(load);
    const readAt = this.#monotonic();
    try {
      const connection = await read();
      this.#failedAt = undefined;
      const { changed } = load;
      if (!connection) this.#remove(this.#entries.get(connectionKeyText(key)));
      else if (!changed.has(undefined) && !changed.has(connection.row.uuid))
        this.#keep({ name: connectionKeyText(key), connection, readAt, used: false });
      return connection;
    } catch (error) {
      if (error instanceof NangoError && error.code === 'store_unavailable') this.#failedAt = this.#monotonic();
      throw error;
    } finally {
      this.#loads.delete(load);
    }
  }

  async close(): Promise<void> {
    await this.#watch.close();
    this.#drop(undefined);
  }

  /** Once a second somebody finds out whether the database is back, so that all others need not wait for that. */
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

  #keep(entry: Entry): void {
    this.#remove(this.#entries.get(entry.name));
    this.#entries.set(entry.name, entry);
    this.#byUuid.set(entry.connection.row.uuid, entry);
    while (this.#entries.size > this.#options.size()) this.#evict();
  }

  /** Second chance: the oldest that was not used since its last turn goes. A use costs a flag, not a place in an order. */
  #evict(): void {
    for (const entry of this.#entries.values()) {
      if (!entry.used) return this.#remove(entry);
      entry.used = false;
      this.#entries.delete(entry.name);
      this.#entries.set(entry.name, entry);
    }
  }

  #remove(entry: Entry | undefined): void {
    if (!entry) return;
    this.#entries.delete(entry.name);
    this.#byUuid.delete(entry.connection.row.uuid);
  }

  #drop(uuid: string | undefined): void {
    for (const { changed } of this.#loads) changed.add(uuid);
    if (uuid !== undefined) return this.#remove(this.#byUuid.get(uuid));
    this.#entries.clear();
    this.#byUuid.clear();
  }
}

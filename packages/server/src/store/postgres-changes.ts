import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { ChangeListener, ConnectionWatch } from './connection-watch.ts';

/** Carries the uuids of connections that changed. */
export const CHANGES_CHANNEL = 'nango_connections';
/** Servers of earlier releases have another name. They have no record of their own. */
const APPLICATION_NAME = 'nango server';
const HEARTBEAT_MS = 1_000;
const ANSWER_MS = 3_000;
const RECONNECT_MS = 1_000;

interface ListenOptions {
  readonly connectionString: string;
  readonly onError?: (error: Error) => void;
}

/**
 * Listens for changes over LISTEN/NOTIFY, on its own connection. A heartbeat takes the way of every notification, once
 * a second. When it returns, the channel works, behind any pooler or proxy, and all earlier notifications have arrived.
 */
export function listenForChanges(options: ListenOptions, listener: ChangeListener): ConnectionWatch {
  const watch = new PostgresWatch(options, listener);
  watch.connect();
  return watch;
}

class PostgresWatch implements ConnectionWatch {
  readonly #options: ListenOptions;
  readonly #listener: ChangeListener;
  readonly #heartbeats = `nango_${randomBytes(8).toString('hex')}`;
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sentAt = 0;
  #confirmedAt = 0;
  #closed = false;

  constructor(options: ListenOptions, listener: ChangeListener) {
    this.#options = options;
    this.#listener = listener;
  }

  confirmedAt(): number {
    return this.#confirmedAt;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => undefined);
  }

  connect(): void {
    const { connectionString } = this.#options;
    const client = new pg.Client({
      connectionString,
      application_name: APPLICATION_NAME,
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
    });
    this.#client = client;
    client.on('notification', ({ channel, payload }) => {
      if (channel === CHANGES_CHANNEL) this.#listener(payload);
      else if (payload === String(this.#sentAt)) this.#confirmedAt = this.#sentAt;
    });
    const lost = (error: Error) => this.#reconnect(client, error);
    client.on('error', lost);
    client.on('end', () => lost(new Error('the connection for notifications ended')));
    this.#begin(client).catch(lost);
  }

  async #begin(client: pg.Client): Promise<void> {
    await client.connect();
    await client.query(`listen ${CHANGES_CHANNEL}; listen ${this.#heartbeats}`);
    // Anything may have changed while nobody listened.
    this.#listener();
    await this.#beat(client);
  }

  async #beat(client: pg.Client): Promise<void> {
    this.#sentAt = performance.now();
    await client.query('select pg_notify($1, $2)', [this.#heartbeats, String(this.#sentAt)]);
    this.#later(HEARTBEAT_MS, () => void this.#beat(client).catch((error: Error) => this.#reconnect(client, error)));
  }

  #reconnect(client: pg.Client, error: Error): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    client.end().catch(() => undefined);
    if (this.#closed) return;
    this.#options.onError?.(error);
    this.#later(RECONNECT_MS, () => this.connect());
  }

  #later(milliseconds: number, task: () => void): void {
    if (!this.#closed) this.#timer = setTimeout(task, milliseconds).unref();
  }
}

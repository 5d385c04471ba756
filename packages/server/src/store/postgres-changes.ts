import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { ChangeListener, ConnectionWatch } from './connection-watch.ts';
import type { Secret } from '../vault/secret.ts';

/** The name of the channel that carries the uuids of changed connections. */
export const CHANGES_CHANNEL = 'nango_connections';
/** Differs from the name that servers of earlier releases use, because those have no record. */
const APPLICATION_NAME = 'nango server';
const HEARTBEAT_MS = 1_000;
const RESPONSE_TIMEOUT_MS = 3_000;
const RECONNECT_MS = 1_000;

interface ListenOptions {
  readonly databaseUrl: Secret<string>;
  readonly onError?: (error: Error) => void;
}

/**
 * Listens for changes with LISTEN/NOTIFY, on its own connection. Once a second, it sends a heartbeat as a notification
 * to itself. When the heartbeat returns, the channel works, and all earlier notifications have arrived.
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
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl.reveal(),
      application_name: APPLICATION_NAME,
      connectionTimeoutMillis: RESPONSE_TIMEOUT_MS,
      query_timeout: RESPONSE_TIMEOUT_MS,
    });
    this.#client = client;
    client.on('notification', ({ channel, payload }) => {
      if (channel === CHANGES_CHANNEL) this.#listener(payload);
      else if (payload === String(this.#sentAt)) this.#confirmedAt = this.#sentAt;
    });
    const onLost = (error: Error) => this.#reconnect(client, error);
    client.on('error', onLost);
    client.on('end', () => onLost(new Error('the connection for notifications ended')));
    this.#listen(client).catch(onLost);
  }

  async #listen(client: pg.Client): Promise<void> {
    await client.connect();
    await client.query(`listen ${CHANGES_CHANNEL}; listen ${this.#heartbeats}`);
    // Any connection may have changed before the channel was open.
    this.#listener();
    await this.#sendHeartbeat(client);
  }

  async #sendHeartbeat(client: pg.Client): Promise<void> {
    this.#sentAt = performance.now();
    await client.query('select pg_notify($1, $2)', [this.#heartbeats, String(this.#sentAt)]);
    this.#schedule(
      HEARTBEAT_MS,
      () => void this.#sendHeartbeat(client).catch((error: Error) => this.#reconnect(client, error)),
    );
  }

  #reconnect(client: pg.Client, error: Error): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    client.end().catch(() => undefined);
    if (this.#closed) return;
    this.#options.onError?.(error);
    this.#schedule(RECONNECT_MS, () => this.connect());
  }

  #schedule(milliseconds: number, task: () => void): void {
    if (!this.#closed) this.#timer = setTimeout(task, milliseconds).unref();
  }
}

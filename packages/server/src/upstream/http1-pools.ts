import { Readable } from 'node:stream';
import type { buildConnector, Dispatcher } from 'undici';
import { Http1Connection, type ConnectionRequest } from './http1-connection.ts';

const MAX_IDLE = 256;
const SWEEP_MS = 1_000;
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** Connections to one origin. */
interface Pool {
  readonly open: Set<Http1Connection>;
  /** The one used last is used first, so that those not needed end. */
  readonly idle: Http1Connection[];
  /** As the Host field names it. */
  readonly host: string;
  /** Whether the origin chose HTTP/2, which this does not speak. */
  speaksHttp2: boolean;
}

export interface Http1PoolsOptions {
  readonly connect: buildConnector.connector;
  /** Takes the requests to origins that speak HTTP/2. */
  readonly onHttp2: (request: PooledRequest, handler: Dispatcher.DispatchHandler) => void;
}

export type PooledRequest = ConnectionRequest & { readonly origin: string };

/** Keeps connections to origins alive, and gives each request one of its own. */
export class Http1Pools {
  readonly #options: Http1PoolsOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #sweep: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: Http1PoolsOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#endIdle(), SWEEP_MS).unref();
  }

  dispatch(request: PooledRequest, handler: Dispatcher.DispatchHandler): void {
    const pool = this.#poolOf(request.origin);
    if (pool.speaksHttp2) return this.#options.onHttp2(request, handler);
    const idle = takeIdle(pool);
    if (!idle) return this.#connect(pool, request, handler);
    // The API closed it in the very moment it was used; a request that may come twice is sent on another (RFC 9112 §9.3.1).
    const isRepeatable = IDEMPOTENT.has(request.method) && !(request.body instanceof Readable);
    const onStale = isRepeatable ? () => this.#connect(pool, request, handler) : undefined;
    return idle.send(request, handler, onStale);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#sweep);
    for (const { open } of this.#pools.values()) for (const connection of open) connection.close();
  }

  #poolOf(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known) return known;
    const pool: Pool = { open: new Set(), idle: [], speaksHttp2: false, host: origin.slice(origin.indexOf('//') + 2) };
    this.#pools.set(origin, pool);
    return pool;
  }

  #connect(pool: Pool, request: PooledRequest, handler: Dispatcher.DispatchHandler): void {
    const { protocol, hostname, port, host } = new URL(request.origin);
    this.#options.connect({ protocol, hostname, port, host }, (error, socket) => {
      if (error) return handler.onResponseError?.(NEVER_STARTED, error);
      if (this.#isClosed) {
        socket.destroy();
        return handler.onResponseError?.(NEVER_STARTED, new Error('The server is stopping.'));
      }
      if ('alpnProtocol' in socket && socket.alpnProtocol === 'h2') {
        pool.speaksHttp2 = true;
        socket.destroy();
        return this.#options.onHttp2(request, handler);
      }
      const connection = new Http1Connection({
        socket,
        host: pool.host,
        onIdle: (idle) => (pool.idle.length < MAX_IDLE ? void pool.idle.push(idle) : idle.close()),
        onClose: (closed) => void pool.open.delete(closed),
      });
      pool.open.add(connection);
      // Not undefined even so: an origin that is asked again may have left the map while the connection was made.
      this.#pools.set(request.origin, pool);
      return connection.send(request, handler);
    });
  }

  #endIdle(): void {
    const now = performance.now();
    for (const [origin, pool] of this.#pools) {
      const kept = pool.idle.filter((connection) => {
        if (connection.isUsable && connection.idleUntil > now) return true;
        connection.close();
        return false;
      });
      pool.idle.splice(0, Infinity, ...kept);
      if (pool.open.size === 0 && !pool.speaksHttp2) this.#pools.delete(origin);
    }
  }
}

function takeIdle({ idle }: Pool): Http1Connection | undefined {
  for (;;) {
    const connection = idle.pop();
    if (!connection) return undefined;
    if (connection.isUsable && connection.idleUntil > performance.now()) return connection;
    connection.close();
  }
}

/** Of a request that no connection could be made for: there is nothing to steer. */
const NEVER_STARTED: Dispatcher.DispatchController = {
  aborted: true,
  paused: false,
  reason: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
};

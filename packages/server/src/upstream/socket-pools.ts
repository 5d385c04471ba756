import type { Socket } from 'node:net';
import { Pool, type buildConnector, type Dispatcher } from 'undici';
import { authorityOf } from '../formats/request-target.ts';
import { isRepeatable, RepeatingHandler } from './repeating-handler.ts';

const MAX_OPEN_SOCKETS = 1_024;
// Maximum number of pools that are searched for an idle one, so that no request waits for a search of all pools.
const MAX_SEARCHED = 64;

/** A request, with the origin of its pool. */
export type PooledRequest = Dispatcher.DispatchOptions & { readonly origin: string };

type Connect = (options: { allowH2: boolean }) => buildConnector.connector;
type Connected = Parameters<Parameters<buildConnector.connector>[1]>;

/** Settings of {@link SocketPools}. */
export interface SocketPoolsOptions {
  readonly connect: Connect;
  /** Whether HTTP/2 is never offered. */
  readonly http1Only: boolean;
  /** Number of sockets above which idle ones are closed; for tests. */
  readonly maxOpen?: number;
}

/** The HTTP/1.1 sockets of one owner to one origin. */
interface OwnedPool {
  readonly pool: Pool;
  readonly forgetIdle: () => void;
  open: number;
  /** Whether it was used since the last eviction considered it. */
  used: boolean;
}

interface Origin {
  readonly url: string;
  /** The server's choice (ALPN, RFC 7301); undefined until the first connection is made. */
  protocol: 'http1' | 'http2' | undefined;
  /** The first connection, while it is being made. */
  probe: Promise<void> | undefined;
  /** The first connection, until its pool takes it. */
  spare: Socket | undefined;
  shared: Pool | undefined;
  readonly owned: Map<string, OwnedPool>;
}

/**
 * Keeps sockets to origins alive. An HTTP/1.1 socket serves one owner only, because late bytes look like the response
 * to the next request. HTTP/2 names the request of each frame, so all owners share its connections (RFC 9113 §5).
 */
export class SocketPools {
  readonly #origins = new Map<string, Origin>();
  /** All owned pools, least recently used first. */
  readonly #byUse = new Map<OwnedPool, () => void>();
  readonly #connectBoth: buildConnector.connector;
  readonly #connectHttp1: buildConnector.connector;
  readonly #http1Only: boolean;
  readonly #maxOpen: number;
  #open = 0;
  #isClosed = false;

  constructor({ connect, http1Only, maxOpen = MAX_OPEN_SOCKETS }: SocketPoolsOptions) {
    this.#connectHttp1 = connect({ allowH2: false });
    this.#connectBoth = http1Only ? this.#connectHttp1 : connect({ allowH2: true });
    this.#http1Only = http1Only;
    this.#maxOpen = maxOpen;
  }

  /** Sends a request over a socket to its origin. The response, or the error, goes to its handler. */
  dispatch(request: PooledRequest, sending: Sending): void {
    const { owner, handler, isRepeated = false } = sending;
    if (this.#isClosed) return handler.onResponseError?.(NEVER_STARTED, new Error('The server is stopping.'));
    const origin = this.#originOf(request.origin);
    if (!origin.protocol) {
      origin.probe ??= this.#probe(origin);
      origin.probe.then(
        () => this.dispatch(request, sending),
        (error: unknown) => handler.onResponseError?.(NEVER_STARTED, toError(error)),
      );
      return;
    }
    const repeat = () => this.dispatch(request, { ...sending, isRepeated: true });
    if (origin.protocol === 'http2') {
      const pool = (origin.shared ??= this.#sharedPool(origin));
      pool.dispatch(request, isRepeated ? handler : new RepeatingHandler(handler, repeat, isHttp2Lost));
      return;
    }
    const owned = this.#ownedPool(origin, owner);
    owned.used = true;
    // The server may have closed an idle socket at this very moment (RFC 9112 §9.3.1).
    const isStalePossible = owner !== undefined && owned.open > 0 && !isRepeated && isRepeatable(request);
    const pooled = owner === undefined ? { ...request, reset: true } : request;
    owned.pool.dispatch(pooled, isStalePossible ? new RepeatingHandler(handler, repeat) : handler);
    // A request that undici rejects opens no socket, so no closing socket would remove the pool.
    if (owned.open === 0) owned.forgetIdle();
  }

  /** Closes all sockets at once. Later requests fail. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { spare } of this.#origins.values()) spare?.destroy();
    const shared = [...this.#origins.values()].flatMap(({ shared: pool }) => pool ?? []);
    const owned = [...this.#byUse.keys()].map(({ pool }) => pool);
    await Promise.all([...shared, ...owned].map((pool) => pool.destroy()));
  }

  #originOf(url: string): Origin {
    const existing = this.#origins.get(url);
    if (existing) return existing;
    // Without TLS nothing is negotiated.
    const protocol = this.#http1Only || url.startsWith('http:') ? 'http1' : undefined;
    const origin: Origin = {
      url,
      protocol,
      probe: undefined,
      spare: undefined,
      shared: undefined,
      owned: new Map(),
    };
    this.#origins.set(url, origin);
    return origin;
  }

  /** Makes the first connection, to learn which protocol the server chooses. The socket becomes the first of a pool. */
  #probe(origin: Origin): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#connectBoth(authorityOf(origin.url), (error, socket) => {
        origin.probe = undefined;
        if (error) {
          this.#forgetUnused(origin);
          return reject(error);
        }
        origin.protocol = isHttp2(socket) ? 'http2' : 'http1';
        origin.spare = socket.once('error', () => undefined).once('close', () => (origin.spare = undefined));
        return resolve();
      });
    });
  }

  #sharedPool(origin: Origin): Pool {
    const connect: buildConnector.connector = (target, callback) => {
      const spare = takeSpare(origin);
      if (spare) return queueMicrotask(() => callback(null, spare));
      return this.#connectBoth(target, (...[error, socket]: Connected) => {
        if (error) return callback(error, null);
        if (isHttp2(socket)) return callback(null, socket);
        // The server now speaks HTTP/1.1. Requests to it use sockets of their owners.
        socket.destroy();
        origin.protocol = 'http1';
        return callback(new Http2LostError(), null);
      });
    };
    const pool = new Pool(origin.url, { connect, allowH2: true, headersTimeout: 0, bodyTimeout: 0 });
    const forgetIdle = () => {
      if (origin.shared !== pool || pool.stats.connected > 0 || pool.stats.size > 0) return;
      origin.shared = undefined;
      this.#forgetUnused(origin);
      this.#closePool(pool);
    };
    pool.on('disconnect', forgetIdle).on('connectionError', forgetIdle);
    return pool;
  }

  #ownedPool(origin: Origin, owner = ''): OwnedPool {
    const existing = origin.owned.get(owner);
    if (existing) return existing;
    const connect: buildConnector.connector = (target, callback) => {
      const spare = takeSpare(origin);
      // A pool does not expect a socket before it has asked for one.
      if (spare) queueMicrotask(() => callback(null, spare));
      else this.#connectHttp1(target, callback);
    };
    const pool = new Pool(origin.url, { connect, allowH2: false, headersTimeout: 0, bodyTimeout: 0 });
    const forgetIdle = () => {
      if (owned.open === 0 && this.#byUse.has(owned) && pool.stats.size === 0) forget();
    };
    const owned: OwnedPool = { pool, forgetIdle, open: 0, used: true };
    const forget = () => {
      origin.owned.delete(owner);
      this.#byUse.delete(owned);
      this.#forgetUnused(origin);
      this.#closePool(pool);
    };
    pool
      .on('connect', () => {
        owned.open += 1;
        this.#open += 1;
        if (this.#open > this.#maxOpen) this.#closeIdle();
      })
      .on('disconnect', () => {
        owned.open -= 1;
        this.#open -= 1;
        forgetIdle();
      })
      .on('connectionError', forgetIdle);
    origin.owned.set(owner, owned);
    this.#byUse.set(owned, forget);
    return owned;
  }

  /** Closes the sockets of the least recently used owner without a request in flight. */
  #closeIdle(): void {
    let searched = 0;
    for (const [owned, forget] of this.#byUse) {
      if (searched++ >= MAX_SEARCHED) return;
      if (!owned.used && owned.pool.stats.size === 0) return forget();
      owned.used = false;
      this.#byUse.delete(owned);
      this.#byUse.set(owned, forget);
    }
  }

  #closePool(pool: Pool): void {
    // A pool that is being destroyed must not be closed.
    if (!this.#isClosed) void pool.close();
  }

  /** Removes an origin without sockets. The next request learns its protocol again. */
  #forgetUnused(origin: Origin): void {
    if (origin.shared || origin.owned.size > 0 || origin.probe || origin.spare) return;
    if (this.#origins.get(origin.url) === origin) this.#origins.delete(origin.url);
  }
}

function takeSpare(origin: Origin): Socket | undefined {
  const { spare } = origin;
  origin.spare = undefined;
  return spare;
}

/** How a request is sent. */
export interface Sending {
  /** The owner of the HTTP/1.1 sockets; undefined = a new socket, which is closed after the response. */
  readonly owner: string | undefined;
  readonly handler: Dispatcher.DispatchHandler;
  /** Whether it is sent for the second and last time; default false. */
  readonly isRepeated?: boolean;
}

/** The server chose HTTP/1.1, although it spoke HTTP/2 before. Nothing was sent. */
class Http2LostError extends Error {
  override readonly message = 'The server no longer speaks HTTP/2.';
}

function isHttp2Lost(error: Error): boolean {
  return error instanceof Http2LostError;
}

function isHttp2(socket: Socket): boolean {
  return 'alpnProtocol' in socket && socket.alpnProtocol === 'h2';
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** For a request that ended before it had a socket. */
const NEVER_STARTED: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  rawHeaders: null,
  rawTrailers: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
};

import { createHash } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { buildConnector, Dispatcher } from 'undici';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import type { HeaderFields } from '../formats/header-fields.ts';
import { authorityOf, originForm, targetOf, type RequestTarget } from '../formats/request-target.ts';
import { decodeBody } from './decode-body.ts';
import { createGuardedConnector } from './network-guard.ts';
import { parseRetryAfter } from './retry-after.ts';
import { SocketPools } from './socket-pools.ts';
import { TracedHandler, type TraceOutgoing } from './traced-request.ts';
import { revealText, revealTexts, Secret } from '../vault/secret.ts';
import { MAX_RESPONSE_BYTES, type ClientCertificate, type OAuthHttp } from '../oauth/oauth-http.ts';

const DEFAULT_TOKEN_TIMEOUT_MS = 20_000;
const CONNECT_TIMEOUT_MS = 10_000;
const STREAM_BUFFER_BYTES = 262_144;

/** A method of `request()` and of Actions. */
export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS' | 'HEAD';

/** A request whose response is read as a whole. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: RequestTarget;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array | undefined;
  readonly clientCertificate?: Secret<ClientCertificate> | undefined;
  /** Whether only public addresses may be reached, because a connection chose the host. */
  readonly guarded?: boolean;
  /** The owner of the HTTP/1.1 sockets; undefined = a socket for this request only. */
  readonly owner?: string | undefined;
  /** Milliseconds for the whole request; 0 = no limit. */
  readonly timeoutMs: number;
  /** Milliseconds until the connection is made; 0 = no limit. */
  readonly connectTimeoutMs?: number;
  /** Largest body of the response, in bytes. */
  readonly maxBytes: number;
}

/** Settings of sockets. A request uses only sockets that were made with its settings. */
interface SocketSettings {
  readonly clientCertificate: Secret<ClientCertificate> | undefined;
  readonly guarded: boolean;
  readonly connectTimeoutMs?: number;
  /** Whether HTTP/2 is excluded, as for WebSockets. */
  readonly http1?: boolean;
}

/** A request whose response is streamed. */
export interface StreamedRequest extends SocketSettings {
  readonly target: RequestTarget;
  /** The owner of the HTTP/1.1 sockets. The sockets of one connection carry no responses of another. */
  readonly owner: string;
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | Readable | undefined;
  /** Length of a streamed body, in bytes; undefined = unknown. */
  readonly contentLength?: string | undefined;
  /** Milliseconds until the response begins; 0 = none. */
  readonly headersTimeout: number;
  /** Milliseconds between two pieces of the response; 0 = none. */
  readonly bodyTimeout: number;
  readonly upgrade?: string;
}

/** A response that was read as a whole. */
export interface UpstreamResponse {
  readonly status: number;
  readonly statusText: string;
  /** Names in lower case. Repeated headers are joined (RFC 9110 §5.3), except for Set-Cookie. */
  readonly headers: Record<string, string | string[]>;
  /** The decoded body. */
  readonly body: Buffer;
  /** Bytes of the body before decoding. */
  readonly receivedBytes: number;
}

/**
 * The one HTTP client for requests to the outside. It keeps connections alive, follows no redirect, and limits time and
 * size. Bodies that it reads as a whole are decoded; streamed ones are not. Throws `request_timeout`, `request_failed`
 * and `response_too_large`.
 */
export class HttpClient {
  readonly #poolsBySettings = new Map<string, SocketPools>();
  /** The last result, because the next request usually needs the same one. */
  #last: { readonly settings: SocketSettings; readonly pools: SocketPools } | undefined;
  readonly #allowedNetworks: () => readonly string[];
  readonly #connect: NonNullable<HttpClientOptions['connect']>;
  readonly #trace: TraceOutgoing | undefined;

  /**
   * `connect` is for tests that trust their own authority. `allowedNetworks` are private networks that guarded requests
   * may reach.
   */
  constructor({ connect = {}, allowedNetworks = () => [], trace }: HttpClientOptions = {}) {
    this.#connect = connect;
    this.#trace = trace;
    this.#allowedNetworks = allowedNetworks;
  }

  /** Sends a request and reads its response. */
  async send({
    method,
    target,
    headers,
    body,
    timeoutMs,
    maxBytes,
    clientCertificate,
    connectTimeoutMs = CONNECT_TIMEOUT_MS,
    guarded = false,
    owner,
  }: UpstreamRequest): Promise<UpstreamResponse> {
    const signal = timeoutMs === 0 ? null : AbortSignal.timeout(timeoutMs);
    const { origin } = target;
    const span = this.#trace?.({ method, host: authorityOf(origin).host });
    try {
      const pools = this.#poolsOf({ clientCertificate, guarded, connectTimeoutMs });
      const response = await new OwnerDispatcher(pools, owner).request({
        origin,
        path: originForm(target),
        method,
        headers: span ? { ...headers, ...span.headers } : headers,
        body: body ?? null,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const received = await readBounded(response.body, maxBytes);
      const contentEncoding = response.headers['content-encoding'];
      const decoded = await decodeBody(received, { contentEncoding, maxBytes });
      span?.end({ status: response.statusCode });
      return {
        status: response.statusCode,
        statusText: STATUS_CODES[response.statusCode] ?? '',
        headers: joinHeaders(response.headers),
        body: decoded,
        receivedBytes: received.length,
      };
    } catch (error) {
      span?.end({ error: error instanceof Error ? error.name : 'Error' });
      throw toNangoError(error, { origin, timeoutMs });
    }
  }

  /** Sends a request and streams its response to `handler`. Only the limits of the request apply. */
  stream(request: StreamedRequest, handler: Dispatcher.DispatchHandler): void {
    const { target, owner, method, headers, body, contentLength, headersTimeout, bodyTimeout, upgrade } = request;
    const { origin } = target;
    const span = this.#trace?.({ method, host: authorityOf(origin).host });
    const length = contentLength === undefined ? undefined : { 'content-length': contentLength };
    this.#poolsOf(request).dispatch(
      {
        origin,
        path: originForm(target),
        method,
        headers: span || length ? { ...headers, ...span?.headers, ...length } : headers,
        // Undici destroys the body when the API cuts the connection. So the body is a copy of the caller's stream,
        // whose connection must stay open for our response.
        body: body instanceof Readable ? buffered(body) : (body ?? null),
        headersTimeout,
        bodyTimeout,
        ...(upgrade === undefined ? {} : { upgrade }),
      },
      { owner, handler: span ? new TracedHandler(handler, span) : handler },
    );
  }

  /** Closes all sockets. */
  async close(): Promise<void> {
    await Promise.all([...this.#poolsBySettings.values()].map((pools) => pools.close()));
  }

  #poolsOf({
    clientCertificate,
    guarded,
    connectTimeoutMs = CONNECT_TIMEOUT_MS,
    http1 = false,
  }: SocketSettings): SocketPools {
    const last = this.#last?.settings;
    const isSame = last?.guarded === guarded && last.connectTimeoutMs === connectTimeoutMs && last.http1 === http1;
    if (this.#last && isSame && last.clientCertificate === clientCertificate) return this.#last.pools;
    const settings = { clientCertificate, guarded, connectTimeoutMs, http1 };
    const pools = this.#findOrCreatePools(settings);
    this.#last = { settings, pools };
    return pools;
  }

  #findOrCreatePools({ clientCertificate, guarded, connectTimeoutMs, http1 }: Required<SocketSettings>): SocketPools {
    const kind = `${guarded ? 'guarded' : 'open'} ${http1 ? 'http1' : 'http'} ${connectTimeoutMs}`;
    const certificate = clientCertificate?.reveal();
    const name = certificate ? `${kind} ${digestOf(certificate)}` : kind;
    const existing = this.#poolsBySettings.get(name);
    if (existing) return existing;
    const connect = ({ allowH2 }: { allowH2: boolean }) => {
      const options = {
        ...this.#connect,
        ...(certificate ? { cert: certificate.certificate, key: certificate.key } : {}),
        timeout: connectTimeoutMs,
        allowH2,
      };
      return guarded ? createGuardedConnector(options, this.#allowedNetworks) : buildConnector(options);
    };
    const pools = new SocketPools({ connect, http1Only: http1 });
    this.#poolsBySettings.set(name, pools);
    return pools;
  }
}

/** Adapts the pools of one owner to undici's interface. */
class OwnerDispatcher extends Dispatcher {
  readonly #pools: SocketPools;
  readonly #owner: string | undefined;

  constructor(pools: SocketPools, owner: string | undefined) {
    super();
    this.#pools = pools;
    this.#owner = owner;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    this.#pools.dispatch({ ...options, origin: String(options.origin) }, { owner: this.#owner, handler });
    return true;
  }
}

function buffered(body: Readable): PassThrough {
  const stream = new PassThrough({ highWaterMark: STREAM_BUFFER_BYTES });
  body.once('error', (error) => stream.destroy(error)).once('close', () => body.readableEnded || stream.destroy());
  return body.pipe(stream);
}

/** Settings of an {@link HttpClient}. */
export interface HttpClientOptions {
  readonly connect?: Partial<Record<'ca' | 'cert' | 'key', string>>;
  readonly allowedNetworks?: () => readonly string[];
  readonly trace?: TraceOutgoing | undefined;
}

const digests = new WeakMap<ClientCertificate, string>();

function digestOf(client: ClientCertificate): string {
  const cached = digests.get(client);
  if (cached !== undefined) return cached;
  const text = JSON.stringify([client.certificate, client.key]);
  const digest = createHash('sha256').update(text).digest('base64');
  digests.set(client, digest);
  return digest;
}

interface OAuthHttpOptions {
  readonly now: () => number;
  readonly timeoutMs?: number;
  readonly guarded?: boolean;
}

/** Returns the client as protocol code uses it, with the limits of token requests. */
export function createOAuthHttp(
  client: HttpClient,
  { now, timeoutMs = DEFAULT_TOKEN_TIMEOUT_MS, guarded = false }: OAuthHttpOptions,
): OAuthHttp {
  return async ({ url, ...call }) => {
    const target = targetOf(new URL(revealText(url)));
    const headers = { 'user-agent': 'Nango', ...revealTexts(call.headers) };
    const sent = performance.now();
    const {
      status,
      headers: received,
      body,
    } = await client.send({
      ...call,
      target,
      headers,
      body: call.body === undefined ? undefined : revealText(call.body),
      guarded,
      timeoutMs,
      maxBytes: call.maxBytes ?? MAX_RESPONSE_BYTES,
    });
    return {
      status,
      contentType: String(received['content-type'] ?? ''),
      tookMs: Math.ceil(performance.now() - sent),
      retryAfterMs: parseRetryAfter(String(received['retry-after'] ?? ''), now()),
      wwwAuthenticate: String(received['www-authenticate'] ?? ''),
      location: typeof received['location'] === 'string' ? new Secret(received['location']) : undefined,
      body: new Secret(body.toString('utf8')),
    };
  };
}

async function readBounded(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the loop destroys the stream, so the rest is never received.
    if (size > maxBytes) throw new NangoError('response_too_large', `The response is larger than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function joinHeaders(headers: HeaderFields): Record<string, string | string[]> {
  const joined: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) joined[name] = Array.isArray(value) && name !== 'set-cookie' ? value.join(', ') : value;
  }
  return joined;
}

/** Returns the error of a request without a response. It names only the host: path and query may carry credentials. */
export function toNangoError(error: unknown, { origin, timeoutMs }: { origin: string; timeoutMs: number }): NangoError {
  if (error instanceof NangoError) return error;
  const { host } = authorityOf(origin);
  const name = error instanceof Error ? error.name : '';
  if (/^(TimeoutError|HeadersTimeoutError|BodyTimeoutError)$/.test(name))
    return new NangoError('request_timeout', `${host} did not respond within ${timeoutMs / 1000} s.`, { cause: error });
  if (name === 'ConnectTimeoutError')
    return new NangoError('request_timeout', `A connection to ${host} could not be made in time.`, { cause: error });
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  return new NangoError(
    'request_failed',
    `The request to ${host} failed: ${messageOf(error) || 'no connection'}${code}.`,
    { cause: error },
  );
}

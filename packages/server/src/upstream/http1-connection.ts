import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { HttpSyntaxError, parseHead, type ResponseHead } from './http1-head.ts';

const MAX_HEAD_BYTES = 32_768;
const DEFAULT_KEEP_ALIVE_MS = 4_000;
const MAX_KEEP_ALIVE_MS = 600_000;
// An API closes a connection a little earlier than it says, seen from here.
const KEEP_ALIVE_MARGIN_MS = 1_000;
const HEAD_END = Buffer.from('\r\n\r\n');

/** A request; of a body that is a stream, `contentLength` says how long it is, else it goes in chunks. */
export interface ConnectionRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | Readable | undefined;
  readonly contentLength?: string | undefined;
  /** Milliseconds until the answer begins; 0 = none. */
  readonly headersTimeout: number;
  /** Milliseconds between two pieces of the answer; 0 = none. */
  readonly bodyTimeout: number;
}

export interface Http1ConnectionOptions {
  readonly socket: Socket;
  /** As the Host field names it. */
  readonly host: string;
  /** Told when the answer ended and the connection can be used again. */
  readonly onIdle: (connection: Http1Connection) => void;
  readonly onClose: (connection: Http1Connection) => void;
}

/** An exchange under way on a connection. */
interface Exchange {
  readonly request: ConnectionRequest;
  readonly handler: Dispatcher.DispatchHandler;
  readonly controller: Controller;
  /** Called in place of the handler when the connection turns out to be closed already. */
  readonly onStale: (() => void) | undefined;
  /** `performance.now()` when the request, or the last of its body, was sent. */
  sentAt: number;
  /** Whether the request was sent to its end. */
  isSent: boolean;
  head: ResponseHead | undefined;
  left: number;
  decoder: ChunkedDecoder | undefined;
}

/**
 * One connection to an API, for one request after the other: the part of HTTP/1.1 that proxied calls need, at a third of what
 * a general client takes for it. Speaks to undici's handlers.
 */
export class Http1Connection {
  readonly #options: Http1ConnectionOptions;
  readonly #socket: Socket;
  #exchange: Exchange | undefined;
  #pending: Buffer | undefined;
  /** Came with the head of an answer that is not wanted yet. */
  #held: Buffer | undefined;
  #timeoutMs = 0;
  #uses = 0;
  /** `performance.now()` until which an idle connection is worth using. */
  idleUntil = 0;

  constructor(options: Http1ConnectionOptions) {
    this.#options = options;
    const { socket } = options;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => {
      this.#fail(closedEarly());
      options.onClose(this);
    });
    socket.on('timeout', () => this.#onTimeout());
  }

  get isUsable(): boolean {
    return !this.#socket.destroyed && this.#socket.writable && this.#exchange === undefined;
  }

  /** `onStale` is called, and the handler is not, when the other side had closed a connection that was used before. */
  send(request: ConnectionRequest, handler: Dispatcher.DispatchHandler, onStale?: () => void): void {
    const controller = new Controller(this.#socket, {
      onAbort: (reason) => this.#abort(reason),
      onResume: () => this.#takeHeld(),
    });
    const isReused = this.#uses > 0;
    this.#uses += 1;
    this.#exchange = {
      request,
      handler,
      controller,
      sentAt: performance.now(),
      onStale: isReused ? onStale : undefined,
      isSent: !(request.body instanceof Readable),
      head: undefined,
      left: 0,
      decoder: undefined,
    };
    if (!isReused || this.#timeoutMs !== request.headersTimeout) this.#setTimeout(request.headersTimeout);
    handler.onRequestStart?.(controller, undefined);
    if (this.#exchange === undefined) return;
    this.#write(request);
  }

  #write(request: ConnectionRequest): void {
    let head: string;
    try {
      head = headText(request, this.#options.host);
    } catch (error) {
      return this.#abort(error instanceof Error ? error : new Error(String(error)));
    }
    const { body } = request;
    if (body === undefined) return void this.#socket.write(head, 'latin1');
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    if (body instanceof Readable) this.#stream(body, request);
    else this.#socket.write(body);
    this.#socket.uncork();
  }

  /** The body is read as fast as the API takes it. It is not destroyed when the exchange ends before it: it is the caller's. */
  #stream(body: Readable, { contentLength }: ConnectionRequest): void {
    const exchange = this.#exchange;
    const socket = this.#socket;
    let left = contentLength === undefined ? undefined : Number(contentLength);
    const onDrain = () => body.resume();
    const onData = (chunk: Buffer) => {
      if (left === undefined) {
        socket.cork();
        socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
        socket.write(chunk);
        if (!socket.write('\r\n', 'latin1')) body.pause();
        return socket.uncork();
      }
      left -= chunk.length;
      if (left < 0) return onCut();
      if (!socket.write(chunk)) body.pause();
    };
    const leave = () => {
      body.off('data', onData).off('end', onBodyEnd).off('error', onCut).off('close', onCut);
      socket.off('drain', onDrain).off('close', leave);
    };
    const onBodyEnd = () => {
      leave();
      if (left !== undefined && left > 0) return onCut();
      if (left === undefined) socket.write('0\r\n\r\n', 'latin1');
      if (!exchange) return;
      exchange.isSent = true;
      exchange.sentAt = performance.now();
    };
    const onCut = () => {
      leave();
      // Half a body must not be taken for a whole one.
      this.#abort(new Error('The body of the request broke off.'));
    };
    socket.on('drain', onDrain).once('close', leave);
    body.on('data', onData).once('end', onBodyEnd).once('error', onCut).once('close', onCut).resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #setTimeout(milliseconds: number): void {
    this.#timeoutMs = milliseconds;
    this.#socket.setTimeout(milliseconds);
  }

  #receive(bytes: Buffer): void {
    const exchange = this.#exchange;
    // Nobody asked: whatever it is, it must not become the answer to the next request.
    if (!exchange) return this.close();
    try {
      if (exchange.head) this.#body(exchange, bytes);
      else this.#readHead(exchange, bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      this.close();
    }
  }

  #readHead(exchange: Exchange, bytes: Buffer): void {
    const all = this.#pending ? Buffer.concat([this.#pending, bytes]) : bytes;
    const end = all.indexOf(HEAD_END);
    if (end === -1 || end > MAX_HEAD_BYTES) {
      if (all.length > MAX_HEAD_BYTES) throw new HttpSyntaxError('The head of the answer is too long.');
      assertInTime(exchange);
      this.#pending = all;
      return;
    }
    this.#pending = undefined;
    const head = parseHead(all.toString('latin1', 0, end), exchange.request.method);
    const rest = all.subarray(end + HEAD_END.length);
    if (head.status === 101) throw new HttpSyntaxError('The API changed the protocol without being asked.');
    if (head.status < 200) {
      assertInTime(exchange);
      exchange.handler.onResponseStart?.(exchange.controller, head.status, head.headers, head.statusMessage);
      // Another head follows.
      if (rest.length > 0) this.#readHead(exchange, rest);
      return;
    }
    exchange.head = head;
    if (this.#timeoutMs !== exchange.request.bodyTimeout) this.#setTimeout(exchange.request.bodyTimeout);
    if (typeof head.body === 'number') exchange.left = head.body;
    const { handler, controller } = exchange;
    if (head.body === 'chunked')
      exchange.decoder = new ChunkedDecoder((chunk) => handler.onResponseData?.(controller, chunk));
    handler.onResponseStart?.(controller, head.status, head.headers, head.statusMessage);
    if (this.#exchange !== exchange) return;
    if (controller.paused) this.#held = rest;
    else this.#body(exchange, rest);
  }

  #takeHeld(): void {
    // The time of a caller's pause is not the API's.
    if (this.#timeoutMs > 0) this.#socket.setTimeout(this.#timeoutMs);
    const held = this.#held;
    this.#held = undefined;
    if (held && this.#exchange) this.#receive(held);
  }

  #body(exchange: Exchange, bytes: Buffer): void {
    const { handler, controller, head, decoder } = exchange;
    if (decoder) {
      const rest = decoder.push(bytes);
      if (rest) this.#finish(exchange, { trailers: decoder.trailers, rest });
      return;
    }
    if (head?.body === 'until-close') {
      if (bytes.length > 0) handler.onResponseData?.(controller, bytes);
      return;
    }
    const taken = bytes.length > exchange.left ? bytes.subarray(0, exchange.left) : bytes;
    exchange.left -= taken.length;
    if (taken.length > 0) handler.onResponseData?.(controller, taken);
    if (exchange.left === 0 && this.#exchange === exchange)
      this.#finish(exchange, { trailers: {}, rest: bytes.subarray(taken.length) });
  }

  #finish(
    { handler, controller, head, isSent }: Exchange,
    { trailers, rest }: { trailers: Readonly<Record<string, string | string[]>>; rest: Buffer },
  ): void {
    this.#exchange = undefined;
    const isReusable = head?.isPersistent === true && isSent && rest.length === 0 && !this.#socket.destroyed;
    if (isReusable) {
      this.idleUntil = performance.now() + keepAliveMs(head.headers['keep-alive']);
      if (this.#socket.isPaused()) this.#socket.resume();
    } else this.close();
    handler.onResponseEnd?.(controller, trailers);
    if (isReusable) this.#options.onIdle(this);
  }

  #onEnd(): void {
    const exchange = this.#exchange;
    if (exchange?.head?.body === 'until-close') this.#finish(exchange, { trailers: {}, rest: Buffer.alloc(0) });
    else this.#fail(closedEarly());
    this.close();
  }

  #onTimeout(): void {
    const exchange = this.#exchange;
    // A caller who reads or writes slowly is not the API's fault.
    const waitsForCaller = exchange && !exchange.isSent && !this.#socket.writableNeedDrain;
    if (!exchange || waitsForCaller || this.#socket.isPaused()) return;
    this.#fail(exchange.head ? new BodyTimeoutError() : new HeadersTimeoutError());
    this.close();
  }

  #abort(reason: Error): void {
    this.#fail(reason);
    this.close();
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    this.#exchange = undefined;
    const isStale = exchange.head === undefined && this.#pending === undefined && isClosed(error);
    if (isStale && exchange.onStale) exchange.onStale();
    else exchange.handler.onResponseError?.(exchange.controller, error);
  }
}

/** What a handler steers an exchange with. */
class Controller implements Dispatcher.DispatchController {
  readonly #socket: Socket;
  readonly #told: { onAbort: (reason: Error) => void; onResume: () => void };
  #reason: Error | null = null;

  constructor(socket: Socket, told: { onAbort: (reason: Error) => void; onResume: () => void }) {
    this.#socket = socket;
    this.#told = told;
  }

  get aborted(): boolean {
    return this.#reason !== null;
  }

  get paused(): boolean {
    return this.#socket.isPaused();
  }

  get reason(): Error | null {
    return this.#reason;
  }

  abort(reason: Error): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#told.onAbort(reason);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
    this.#told.onResume();
  }
}

/** Whoever made these checked them already; a line break here would be a second request, so they are looked at once more. */
function headText({ method, path, headers, body, contentLength }: ConnectionRequest, host: string): string {
  if (!TARGET.test(path) || !TARGET.test(host) || !METHOD.test(method))
    throw new HttpSyntaxError('The request line would be malformed.');
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (UNSAFE.test(value) || UNSAFE.test(name)) throw new HttpSyntaxError(`The header "${name}" would be malformed.`);
    if (name !== 'content-length') text += `${name}: ${value}\r\n`;
  }
  return `${text}${framing(method, body, contentLength)}\r\n`;
}

/** A method that says what is done with a body has a length even without one (RFC 9110 §8.6). */
function framing(method: string, body: ConnectionRequest['body'], contentLength: string | undefined): string {
  if (body instanceof Readable)
    return contentLength === undefined ? 'transfer-encoding: chunked\r\n' : `content-length: ${contentLength}\r\n`;
  return body !== undefined || TAKES_BODY.has(method) ? `content-length: ${body?.length ?? 0}\r\n` : '';
}

const TARGET = /^[\x21-\x7e]+$/;
const METHOD = /^[A-Z][A-Z-]{0,31}$/;
// oxlint-disable-next-line no-control-regex -- these are what must not be there
const UNSAFE = /[\0\r\n\u0100-\uffff]/;
const TAKES_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Heads that come drop by drop, or interim ones without end, keep the socket busy, and the clock of its silence from striking. */
function assertInTime({ request: { headersTimeout }, isSent, sentAt }: Exchange): void {
  if (headersTimeout > 0 && isSent && performance.now() - sentAt > headersTimeout) throw new HeadersTimeoutError();
}

function keepAliveMs(header: string | string[] | undefined): number {
  const seconds = header === undefined ? undefined : /timeout=(\d{1,6})/i.exec(String(header))?.[1];
  if (seconds === undefined) return DEFAULT_KEEP_ALIVE_MS;
  return Math.min(Math.max(Number(seconds) * 1000 - KEEP_ALIVE_MARGIN_MS, 0), MAX_KEEP_ALIVE_MS);
}

function isClosed(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

function closedEarly(): Error {
  return Object.assign(new Error('The connection was closed before the answer ended'), { code: 'ECONNRESET' });
}

class HeadersTimeoutError extends Error {
  override readonly name = 'HeadersTimeoutError';
  override readonly message = 'The answer did not begin in time.';
}

class BodyTimeoutError extends Error {
  override readonly name = 'BodyTimeoutError';
  override readonly message = 'The answer stalled.';
}

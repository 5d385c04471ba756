import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { CallerGoneError, CallTooLongError } from '../../calls/call-errors.ts';
import type { IsReplaced } from '../../calls/follow-ups.ts';
import type { Receiver } from '../../calls/stream-call.ts';
import type { HeaderFields } from '../../formats/header-fields.ts';
import { HeldResponse } from './held-response.ts';
import { responseHeaders, trailerFields } from './proxy-headers.ts';

// A response that arrived as a whole is sent as one string with its head. That is cheaper than two buffers if it is
// small.
const MAX_WHOLE_BYTES = 16_384;

const PLAIN_TEXT = /^[\x20-\x7e]*$/;

/** Settings of an {@link Exchange}. */
export interface ExchangeOptions {
  readonly response: ServerResponse;
  /** Called before anything is forwarded. */
  readonly isReplaced: IsReplaced;
  /** The time at which the call must end, in `performance.now()` time; undefined = never. */
  readonly endsAt: number | undefined;
  /** How long the caller may leave a part of the response unread, in milliseconds. */
  readonly callerIdleMs: number;
  /** The request id that is added to the response. */
  readonly requestId: string;
  /** Returns the scopes for the lack of which the API probably refused, to be added to the response. */
  readonly lackedScopes: () => readonly string[] | undefined;
  /** Takes the API's socket if the API agrees to change the protocol; undefined if that was not requested. */
  readonly onUpgrade?: ((headers: HeaderFields, upstream: Duplex) => void) | undefined;
}

/** The response that was forwarded. */
export interface Forwarded {
  readonly status: number;
  readonly bytes: number;
  /** The time at which the API's response began, in `performance.now()` time. */
  readonly respondedAt: number;
}

/**
 * One request to an API, whose response goes to the caller byte by byte. Backpressure is passed on, and the call ends
 * when either side disconnects.
 */
export class Exchange implements Receiver<Forwarded> {
  readonly #options: ExchangeOptions;
  readonly #settled = Promise.withResolvers<Forwarded | 'replaced'>();
  #controller: Dispatcher.DispatchController | undefined;
  /** The reason for the abort, if the call ended before the API's response did. */
  #endedBy: Error | undefined;
  /** The response, until it is decided whether it is forwarded. */
  #held: HeldResponse | undefined;
  #isOver = false;
  /** Length of a response that may be sent as a whole. */
  #wholeBytes = -1;
  #mayHaveTrailers = false;
  #forwarded: { status: number; bytes: number; respondedAt: number } | undefined;
  readonly #deadline: NodeJS.Timeout | undefined;
  #unread: NodeJS.Timeout | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    options.response.on('close', this.#onClose);
    if (options.endsAt !== undefined)
      this.#deadline = setTimeout(this.#onDeadline, Math.max(options.endsAt - performance.now(), 0)).unref();
  }

  /** Resolves when the response was forwarded or replaced. Rejects if the API sent none, or cut it off. */
  get settled(): Promise<Forwarded | 'replaced'> {
    return this.#settled.promise;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The call may have ended while its connection was being made.
    if (this.#endedBy) controller.abort(this.#endedBy);
    else if (this.#options.response.destroyed) this.#end(new CallerGoneError());
  }

  // oxlint-disable-next-line max-params -- undici calls the handler with these parameters.
  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: HeaderFields,
    upstream: Duplex,
  ): void {
    this.#markOver();
    const { onUpgrade, response } = this.#options;
    if (!onUpgrade || response.destroyed) {
      upstream.destroy();
      return this.#settled.reject(new CallerGoneError());
    }
    onUpgrade(headers, upstream);
    this.#settled.resolve({ status, bytes: 0, respondedAt: performance.now() });
  }

  // oxlint-disable-next-line max-params -- undici calls the handler with these parameters.
  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: HeaderFields,
    statusMessage?: string,
  ): void {
    // Interim responses (RFC 9110 §15.2) concern the connection to the API.
    if (status < 200 || this.#endedBy) return;
    const replacement = this.#options.isReplaced(status, headers);
    if (replacement === false) return this.#begin(status, headers, statusMessage);
    this.#held = new HeldResponse(controller);
    void this.#decide(replacement, this.#held, () => this.#begin(status, headers, statusMessage));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#endedBy) return;
    if (this.#held) this.#held.add(chunk);
    else this.#write(controller, chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: HeaderFields): void {
    if (this.#held) this.#held.end(trailers);
    else this.#finish(trailers);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // An API may close its connection during the decision. The decision needs only the head.
    if (this.#held) this.#held.fail(error);
    else this.#fail(error);
  }

  async #decide(replacement: Promise<boolean>, held: HeldResponse, begin: () => void): Promise<void> {
    try {
      const isReplaced = await replacement;
      if (this.#isOver) return;
      if (isReplaced) {
        this.#markOver();
        held.discard();
        return this.#settled.resolve('replaced');
      }
      begin();
      this.#held = undefined;
      held.release({
        onData: (controller, chunk) => this.#write(controller, chunk),
        onEnd: (trailers) => this.#finish(trailers),
        onError: (error) => this.#fail(error),
      });
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #begin(status: number, headers: HeaderFields, statusMessage = ''): void {
    const { response } = this.#options;
    this.#forwarded = { status, bytes: 0, respondedAt: performance.now() };
    response.sendDate = false;
    const length = headers['content-length'];
    const hasContent = response.req.method !== 'HEAD' && status !== 204 && status !== 304;
    // Only a chunked body can have trailers (RFC 9112 §7.1.2), and HTTP/1.0 has no chunks.
    this.#mayHaveTrailers = hasContent && length === undefined && response.req.httpVersion !== '1.0';
    const fields = responseHeaders(headers, { withTrailer: this.#mayHaveTrailers, withLength: status !== 204 });
    fields.push('nango-request-id', this.#options.requestId);
    // An API may respond before the request ends. The rest of the request is not awaited, so the connection closes.
    const lacked = this.#options.lackedScopes();
    if (lacked) fields.push('nango-missing-scopes', toHeaderText(lacked.join(' ')));
    if (!response.req.complete) fields.push('connection', 'close');
    response.writeHead(status, toHeaderText(statusMessage), fields);
    // The caller of a slow response, such as a stream of events, receives the head before the first byte.
    if (length === undefined) response.flushHeaders();
    else if (Number(length) <= MAX_WHOLE_BYTES && hasContent) this.#wholeBytes = Number(length);
  }

  #write(controller: Dispatcher.DispatchController, chunk: Buffer): boolean {
    const { response, callerIdleMs } = this.#options;
    if (this.#forwarded) this.#forwarded.bytes += chunk.length;
    if (chunk.length === this.#wholeBytes) {
      response.end(chunk.toString('latin1'), 'latin1');
      return true;
    }
    if (response.write(chunk)) return true;
    controller.pause();
    this.#unread ??= setTimeout(this.#onUnread, callerIdleMs).unref();
    response.once('drain', () => {
      clearTimeout(this.#unread);
      this.#unread = undefined;
      controller.resume();
    });
    return false;
  }

  #finish(trailers: HeaderFields): void {
    const { response } = this.#options;
    this.#markOver();
    if (!this.#forwarded) return this.#settled.reject(new Error('The response ended before it began.'));
    const fields = this.#mayHaveTrailers ? trailerFields(trailers) : [];
    if (fields.length > 0) response.addTrailers(fields);
    if (!response.writableEnded) response.end();
    this.#settled.resolve(this.#forwarded);
  }

  #fail(error: Error): void {
    this.#markOver();
    this.#settled.reject(this.#endedBy ?? error);
  }

  /** Ends the call at once, even if the API was not reached yet. */
  #end(error: Error): void {
    if (this.#isOver) return;
    this.#endedBy = error;
    this.#fail(error);
    this.#controller?.abort(error);
  }

  readonly #onClose = (): void => {
    if (!this.#options.response.writableFinished) this.#end(new CallerGoneError());
  };

  readonly #onDeadline = (): void => this.#end(new CallTooLongError());

  readonly #onUnread = (): void => this.#end(new CallerGoneError());

  /** Marks the call as over, and stops its timers. */
  #markOver(): void {
    this.#isOver = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#unread);
  }
}

/** Returns the UTF-8 bytes of a text, one in each character. Node writes only such characters into a head. */
function toHeaderText(text: string): string {
  if (PLAIN_TEXT.test(text)) return text;
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '');
}

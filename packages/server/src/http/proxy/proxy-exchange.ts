import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { responseHeaders } from './proxy-headers.ts';

// What is read of an answer that is not passed on, so that its connection can be used again.
const MAX_DISCARDED_BYTES = 1_048_576;
// An answer that came as a whole is sent as one string with its head: cheaper than two buffers, while it is small.
const MAX_WHOLE_BYTES = 16_384;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface ExchangeOptions {
  readonly response: ServerResponse;
  /** Whether this answer is not passed on, since the request is sent again. Asked before anything is. */
  readonly isReplaced: (status: number, headers: Headers) => Promise<boolean> | false;
  /** `performance.now()` when the call has to be over; undefined = never. */
  readonly endsAt: number | undefined;
  /** Added to the answer. */
  readonly requestId: string;
  /** Takes the API's socket when it agreed to change the protocol; undefined where that was not asked for. */
  readonly onUpgrade?: ((headers: Headers, upstream: Duplex) => void) | undefined;
}

/** What was passed on. */
export interface Passed {
  readonly status: number;
  readonly bytes: number;
  /** `performance.now()` when the API's answer began. */
  readonly answeredAt: number;
}

/**
 * One request to an API, whose answer goes to the caller byte by byte: a caller who reads slowly slows the API down, and one
 * who goes away ends the call.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  readonly #settled = Promise.withResolvers<Passed | 'replaced'>();
  #controller: Dispatcher.DispatchController | undefined;
  #replaced = false;
  /** Whether the API has nothing more to say; what becomes of the caller does not matter then. */
  #isOver = false;
  /** Whether the time was over before the request began. */
  #isLate = false;
  #discarded = 0;
  /** Length of an answer that may be sent as a whole. */
  #wholeBytes = -1;
  #passed: { status: number; bytes: number; answeredAt: number } | undefined;
  readonly #deadline: NodeJS.Timeout | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    options.response.on('close', this.#onClose);
    if (options.endsAt !== undefined)
      this.#deadline = setTimeout(this.#onDeadline, Math.max(options.endsAt - performance.now(), 0)).unref();
  }

  /** Resolves when the answer was passed on, or replaced; rejects when the API gave none, or broke off. */
  get settled(): Promise<Passed | 'replaced'> {
    return this.#settled.promise;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#options.response.destroyed) controller.abort(new CallerGoneError());
    else if (this.#isLate) controller.abort(new CallTooLongError());
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Headers,
    upstream: Duplex,
  ): void {
    this.#leave();
    const { onUpgrade, response } = this.#options;
    if (!onUpgrade || response.destroyed) {
      upstream.destroy();
      return this.#settled.reject(new CallerGoneError());
    }
    onUpgrade(headers, upstream);
    this.#settled.resolve({ status, bytes: 0, answeredAt: performance.now() });
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Headers,
    statusMessage?: string,
  ): void {
    // Interim answers (RFC 9110 §15.2) are for the connection to the API.
    if (status < 200) return;
    const asked = this.#options.isReplaced(status, headers);
    if (asked === false) return this.#begin(status, headers, statusMessage);
    controller.pause();
    void this.#await(asked, { controller, begin: () => this.#begin(status, headers, statusMessage) });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#replaced) return this.#discard(controller, chunk);
    const { response } = this.#options;
    if (this.#passed) this.#passed.bytes += chunk.length;
    if (chunk.length === this.#wholeBytes) return void response.end(chunk.toString('latin1'), 'latin1');
    if (response.write(chunk)) return;
    controller.pause();
    response.once('drain', () => controller.resume());
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: Headers): void {
    const { response } = this.#options;
    this.#leave();
    if (this.#replaced || !this.#passed) return this.#settled.resolve('replaced');
    for (const name in trailers) response.addTrailers({ [name]: String(trailers[name]) });
    if (!response.writableEnded) response.end();
    this.#settled.resolve(this.#passed);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#leave();
    if (this.#replaced) this.#settled.resolve('replaced');
    else this.#settled.reject(error);
  }

  async #await(
    asked: Promise<boolean>,
    { controller, begin }: { controller: Dispatcher.DispatchController; begin: () => void },
  ): Promise<void> {
    try {
      this.#replaced = await asked;
      if (!this.#replaced) begin();
      controller.resume();
    } catch (error) {
      controller.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #begin(status: number, headers: Headers, statusMessage = ''): void {
    const { response } = this.#options;
    this.#passed = { status, bytes: 0, answeredAt: performance.now() };
    response.sendDate = false;
    const passed = responseHeaders(headers);
    passed.push('nango-request-id', this.#options.requestId);
    // An answer that comes before the request has ended may be all there is: what is left of the request is not waited for.
    if (!response.req.complete) passed.push('connection', 'close');
    response.writeHead(status, statusMessage, passed);
    const length = headers['content-length'];
    // Events and other slow answers begin before their first byte.
    if (length === undefined) response.flushHeaders();
    else if (Number(length) <= MAX_WHOLE_BYTES && response.req.method !== 'HEAD') this.#wholeBytes = Number(length);
  }

  #discard(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#discarded += chunk.length;
    if (this.#discarded > MAX_DISCARDED_BYTES) controller.abort(new Error('The answer to be replaced is too long.'));
  }

  readonly #onClose = (): void => {
    if (!this.#isOver && !this.#options.response.writableFinished) this.#controller?.abort(new CallerGoneError());
  };

  readonly #onDeadline = (): void => {
    this.#isLate = true;
    this.#controller?.abort(new CallTooLongError());
  };

  #leave(): void {
    this.#isOver = true;
    if (this.#deadline) clearTimeout(this.#deadline);
  }
}

/** The caller closed the connection; there is nobody to answer. */
export class CallerGoneError extends Error {
  override readonly name = 'CallerGoneError';
  override readonly message = 'The caller went away.';
}

/** The call took longer than the Integration allows in all. */
class CallTooLongError extends Error {
  override readonly name = 'TimeoutError';
  override readonly message = 'The call took too long.';
}

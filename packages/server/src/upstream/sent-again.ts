import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { HeaderFields } from '../formats/header-fields.ts';
import { IDEMPOTENT_METHODS } from './idempotent-methods.ts';

/** Whether a request can be sent twice: its method allows it, and its body is in memory. */
export function isRepeatable({ method, body }: Pick<Dispatcher.DispatchOptions, 'method' | 'body'>): boolean {
  return IDEMPOTENT_METHODS.has(method) && !(body instanceof Readable);
}

/** Forwards everything, but sends a request once more if its connection failed before any response began. */
export class SentAgain implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #again: () => void;
  readonly #isRecoverable: (error: Error) => boolean;
  #hasBegun = false;

  constructor(handler: Dispatcher.DispatchHandler, again: () => void, isRecoverable = isClosedSocket) {
    this.#handler = handler;
    this.#again = again;
    this.#isRecoverable = isRecoverable;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context);
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: HeaderFields,
    socket: Duplex,
  ): void {
    this.#handler.onRequestUpgrade?.(controller, status, headers, socket);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: HeaderFields,
    statusMessage?: string,
  ): void {
    this.#hasBegun = true;
    this.#handler.onResponseStart?.(controller, status, headers, statusMessage);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: HeaderFields): void {
    this.#handler.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#hasBegun && !controller?.aborted && this.#isRecoverable(error)) this.#again();
    else this.#handler.onResponseError?.(controller, error);
  }
}

function isClosedSocket(error: Error): boolean {
  return 'code' in error && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(String(error.code));
}

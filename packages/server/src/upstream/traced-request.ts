import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { HeaderFields } from '../formats/header-fields.ts';

/** Begins the span of a request that goes out. */
export type TraceOutgoing = (request: { readonly method: string; readonly host: string }) => OutgoingSpan;

export interface OutgoingSpan {
  /** Headers with which the receiver can continue the trace (W3C Trace Context). */
  readonly headers: Readonly<Record<string, string>>;
  end(outcome: { status?: number | undefined; error?: unknown }): void;
}

/** Ends a span with the response, and forwards everything. */
export class TracedHandler implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #span: OutgoingSpan;
  #status: number | undefined;

  constructor(handler: Dispatcher.DispatchHandler, span: OutgoingSpan) {
    this.#handler = handler;
    this.#span = span;
  }

  onRequestStart(controller: Dispatcher.DispatchController, more: unknown): void {
    this.#handler.onRequestStart?.(controller, more);
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: HeaderFields,
    socket: Duplex,
  ): void {
    this.#span.end({ status });
    this.#handler.onRequestUpgrade?.(controller, status, headers, socket);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: HeaderFields,
    statusMessage?: string,
  ): void {
    this.#status = status;
    this.#handler.onResponseStart?.(controller, status, headers, statusMessage);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: HeaderFields): void {
    this.#span.end({ status: this.#status });
    this.#handler.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#span.end({ status: this.#status, error: error.name });
    this.#handler.onResponseError?.(controller, error);
  }
}

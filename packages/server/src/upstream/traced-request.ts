import type { Dispatcher } from 'undici';
import { ForwardingHandler } from './forwarding-handler.ts';

/** Begins the span of a request that goes out. */
export type TraceOutgoing = (request: { readonly method: string; readonly host: string }) => OutgoingSpan;

/** The span of a request that goes out. */
export interface OutgoingSpan {
  /** Headers with which the receiver can continue the trace (W3C Trace Context). */
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the span. */
  end(outcome: { status?: number | undefined; error?: unknown }): void;
}

/** Ends a span when the response ends or fails. */
export class TracedHandler extends ForwardingHandler {
  readonly #span: OutgoingSpan;
  #status: number | undefined;

  constructor(handler: Dispatcher.DispatchHandler, span: OutgoingSpan) {
    super(handler);
    this.#span = span;
  }

  override onRequestUpgrade(...upgrade: Parameters<ForwardingHandler['onRequestUpgrade']>): void {
    this.#span.end({ status: upgrade[1] });
    super.onRequestUpgrade(...upgrade);
  }

  override onResponseStart(...response: Parameters<ForwardingHandler['onResponseStart']>): void {
    this.#status = response[1];
    super.onResponseStart(...response);
  }

  override onResponseEnd(...end: Parameters<ForwardingHandler['onResponseEnd']>): void {
    this.#span.end({ status: this.#status });
    super.onResponseEnd(...end);
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#span.end({ status: this.#status, error: error.name });
    super.onResponseError(controller, error);
  }
}

import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { HeaderFields } from '../formats/header-fields.ts';

type Controller = Dispatcher.DispatchController;

/** Forwards the events of a request to another handler. A subclass overrides those that concern it. */
export class ForwardingHandler implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler;

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
  }

  onRequestStart(controller: Controller, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context);
  }

  // oxlint-disable-next-line max-params -- undici calls the handler with these parameters.
  onRequestUpgrade(controller: Controller, status: number, headers: HeaderFields, socket: Duplex): void {
    this.#handler.onRequestUpgrade?.(controller, status, headers, socket);
  }

  // oxlint-disable-next-line max-params -- undici calls the handler with these parameters.
  onResponseStart(controller: Controller, status: number, headers: HeaderFields, statusMessage?: string): void {
    this.#handler.onResponseStart?.(controller, status, headers, statusMessage);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Controller, trailers: HeaderFields): void {
    this.#handler.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Controller, error: Error): void {
    this.#handler.onResponseError?.(controller, error);
  }
}

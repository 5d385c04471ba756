import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { ForwardingHandler } from './forwarding-handler.ts';
import { IDEMPOTENT_METHODS } from './idempotent-methods.ts';

/** Whether a request can be sent twice: its method allows it, and its body is in memory. */
export function isRepeatable({ method, body }: Pick<Dispatcher.DispatchOptions, 'method' | 'body'>): boolean {
  return IDEMPOTENT_METHODS.has(method) && !(body instanceof Readable);
}

/** Sends a request a second time if its connection failed before the response began. */
export class RepeatingHandler extends ForwardingHandler {
  readonly #repeat: () => void;
  readonly #isRecoverable: (error: Error) => boolean;
  #hasResponse = false;

  constructor(handler: Dispatcher.DispatchHandler, repeat: () => void, isRecoverable = isClosedSocket) {
    super(handler);
    this.#repeat = repeat;
    this.#isRecoverable = isRecoverable;
  }

  override onResponseStart(...response: Parameters<ForwardingHandler['onResponseStart']>): void {
    this.#hasResponse = true;
    super.onResponseStart(...response);
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#hasResponse && !controller?.aborted && this.#isRecoverable(error)) this.#repeat();
    else super.onResponseError(controller, error);
  }
}

function isClosedSocket(error: Error): boolean {
  return 'code' in error && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(String(error.code));
}

import type { Dispatcher } from 'undici';
import type { HeaderFields } from '../../formats/header-fields.ts';

// Responses that are replaced are short. Before the decision, no more bytes are read.
const MAX_HELD_BYTES = 65_536;
// How long the rest of a dropped response is awaited. After that its socket is closed.
const MAX_DISCARD_MS = 5_000;
const TOO_LONG = 'The response to be replaced is too long.';

/** Receives a response that was held. */
export interface ResponseSink {
  /** Returns false if the sink is full. Then the sink resumes the controller itself. */
  readonly onData: (controller: Dispatcher.DispatchController, chunk: Buffer) => boolean;
  readonly onEnd: (trailers: HeaderFields) => void;
  readonly onError: (error: Error) => void;
}

/**
 * A response that may still be replaced. Its body is read meanwhile, so nothing is lost if the API closes the
 * connection. A body that is too large waits in the socket.
 */
export class HeldResponse {
  readonly #controller: Dispatcher.DispatchController;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isPaused = false;
  #isDiscarded = false;
  #discardEnds: NodeJS.Timeout | undefined;
  #trailers: HeaderFields | undefined;
  #error: Error | undefined;

  constructor(controller: Dispatcher.DispatchController) {
    this.#controller = controller;
  }

  /** Adds a part of the body. */
  add(chunk: Buffer): void {
    if (this.#isDiscarded) return this.#bound(chunk);
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes <= MAX_HELD_BYTES || this.#isPaused) return;
    this.#isPaused = true;
    this.#controller.pause();
  }

  /** Marks the response as complete. */
  end(trailers: HeaderFields): void {
    this.#trailers = trailers;
    clearTimeout(this.#discardEnds);
  }

  /** Marks the response as cut off. */
  fail(error: Error): void {
    this.#error = error;
    clearTimeout(this.#discardEnds);
  }

  /** Drops the response. The rest is read so that the socket can be reused, unless the rest is long or slow. */
  discard(): void {
    this.#isDiscarded = true;
    this.#chunks.length = 0;
    if (this.#trailers || this.#error) return;
    this.#discardEnds = setTimeout(() => this.#controller.abort(new Error(TOO_LONG)), MAX_DISCARD_MS).unref();
    if (this.#isPaused) this.#controller.resume();
  }

  /** Passes the held part of the response to the sink. The caller passes on what follows. */
  release({ onData, onEnd, onError }: ResponseSink): void {
    let wantsMore = true;
    for (const chunk of this.#chunks) wantsMore = onData(this.#controller, chunk);
    if (this.#trailers) return onEnd(this.#trailers);
    if (this.#error) return onError(this.#error);
    if (this.#isPaused && wantsMore) this.#controller.resume();
  }

  #bound(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > 2 * MAX_HELD_BYTES) this.#controller.abort(new Error(TOO_LONG));
  }
}

import { HttpSyntaxError, parseFields } from './http1-head.ts';

const MAX_SIZE_LINE = 256;
const MAX_TRAILER_BYTES = 16_384;

/** Takes a body apart that comes in chunks (RFC 9112 §7.1). Throws {@link HttpSyntaxError} for anything but the letter. */
export class ChunkedDecoder {
  readonly #onData: (bytes: Buffer) => void;
  #state: 'size' | 'data' | 'data-end' | 'trailers' | 'done' = 'size';
  #line = '';
  #left = 0;
  #trailers: Record<string, string | string[]> = {};

  constructor(onData: (bytes: Buffer) => void) {
    this.#onData = onData;
  }

  get trailers(): Readonly<Record<string, string | string[]>> {
    return this.#trailers;
  }

  /** Undefined while the body goes on; at its end, what came behind it. */
  push(bytes: Buffer): Buffer | undefined {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'data') {
        const end = Math.min(at + this.#left, bytes.length);
        this.#onData(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = 'data-end';
        continue;
      }
      const lineEnd = bytes.indexOf(10, at);
      const end = lineEnd === -1 ? bytes.length : lineEnd + 1;
      this.#line += bytes.toString('latin1', at, end);
      at = end;
      if (this.#line.length > (this.#state === 'trailers' ? MAX_TRAILER_BYTES : MAX_SIZE_LINE))
        throw new HttpSyntaxError('A line between chunks is too long.');
      if (lineEnd === -1) return undefined;
      if (!this.#line.endsWith('\r\n')) throw new HttpSyntaxError('A line between chunks does not end with CRLF.');
      this.#endLine();
      if (this.#isDone()) return bytes.subarray(at);
    }
    return undefined;
  }

  #isDone(): boolean {
    return this.#state === 'done';
  }

  #endLine(): void {
    const line = this.#line;
    if (this.#state === 'trailers') {
      // Trailers end with an empty line; until then they are one text.
      if (line !== '\r\n' && !line.endsWith('\r\n\r\n')) return;
      this.#trailers = parseFields(line.slice(0, -4));
      this.#state = 'done';
      return;
    }
    this.#line = '';
    if (this.#state === 'data-end') {
      if (line !== '\r\n') throw new HttpSyntaxError('A chunk is longer than its size.');
      this.#state = 'size';
      return;
    }
    const size = /^([0-9A-Fa-f]{1,12})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?\r\n$/.exec(line)?.[1];
    if (size === undefined) throw new HttpSyntaxError('The size of a chunk is no number.');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'data';
  }
}

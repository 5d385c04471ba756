import { fstatSync, write, writeSync } from 'node:fs';

const FLUSH_MS = 100;
const FLUSH_BYTES = 32_768;
const MAX_WAITING_BYTES = 4_194_304;
const MAX_WRITE_BYTES = 65_536;
const RETRY_MS = 1_000;

/** The file, and what happens to lines that cannot be written. */
export interface LineFileOptions {
  /** An open file, pipe or terminal. */
  readonly fd: number;
  /** Returns the line that says how many lines are missing before it. */
  readonly gap: (lines: number) => string;
  /** Called when lines cannot be written, and when they can be written again. */
  readonly onTrouble?: (trouble: { error: Error } | { lost: number }) => void;
  /** Whether `write` tries to write each line before it returns, for an audit log. */
  readonly immediate?: boolean;
}

/**
 * Writes lines of a log, many at a time, independently of the code that logs. That code notices no failure: with a full
 * disk, or a slow or absent reader, 4 MiB of lines wait, and further lines are dropped and counted.
 */
export class LineFile {
  readonly #options: LineFileOptions;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #unwritten: Buffer | undefined;
  #lost = 0;
  #isWriting = false;
  /**
   * Whether a write can block on a reader. Then a thread writes. For files, a thread would only take processor time
   * from requests.
   */
  readonly #canBlock: boolean;
  #isBroken = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LineFileOptions) {
    this.#options = options;
    this.#canBlock = canBlock(options.fd);
  }

  /** Dropped lines that the log does not mention yet. */
  get lost(): number {
    return this.#lost;
  }

  /** Writes a line, at once or later. Never throws, and never waits for a reader. */
  write(line: string): void {
    if (this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    const isFull = this.#options.immediate === true || this.#waitingBytes >= FLUSH_BYTES;
    if (!isFull || this.#isBroken) this.#schedule(FLUSH_MS);
    else this.#flush();
  }

  /** Writes waiting lines as far as possible, when the process ends. */
  close(): void {
    clearTimeout(this.#timer);
    // Bytes that are being written must not be written twice.
    if (this.#isWriting) this.#unwritten = undefined;
    this.#writeNow();
  }

  #schedule(milliseconds: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, milliseconds).unref();
  }

  #flush(): void {
    if (this.#canBlock) this.#writeBehind();
    else this.#writeNow();
  }

  #writeNow(): void {
    try {
      for (let bytes = this.#next(); bytes; bytes = this.#next()) this.#wrote(writeSync(this.#options.fd, bytes));
    } catch (error) {
      this.#failed(error);
    }
  }

  #writeBehind(): void {
    const bytes = this.#isWriting ? undefined : this.#next();
    if (!bytes) return;
    this.#isWriting = true;
    write(this.#options.fd, bytes, (error, written) => {
      this.#isWriting = false;
      if (error) return this.#failed(error);
      this.#wrote(written);
      // A thread call for each new line would take processor time from requests.
      if (this.#unwritten || this.#waitingBytes >= FLUSH_BYTES || this.#lost > 0) return this.#writeBehind();
      if (this.#waiting.length > 0) this.#schedule(FLUSH_MS);
    });
  }

  /** Returns the next bytes: the rest of the last write, or the next lines. */
  #next(): Buffer | undefined {
    if (this.#unwritten || (this.#waiting.length === 0 && this.#lost === 0)) return this.#unwritten;
    let text = '';
    let count = 0;
    while (count < this.#waiting.length && text.length < MAX_WRITE_BYTES) text += this.#waiting[count++] ?? '';
    this.#waiting.splice(0, count);
    this.#waitingBytes -= text.length;
    // Lines are dropped while others wait, so the gap comes after the waiting lines.
    if (this.#waiting.length === 0 && this.#lost > 0) {
      text += this.#options.gap(this.#lost);
      this.#options.onTrouble?.({ lost: this.#lost });
      this.#lost = 0;
    }
    return (this.#unwritten = Buffer.from(text));
  }

  #wrote(count: number): void {
    this.#isBroken = false;
    const left = this.#unwritten?.subarray(count);
    this.#unwritten = left && left.length > 0 ? left : undefined;
  }

  #failed(error: unknown): void {
    // The pipe is full, because its reader is slow.
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return this.#schedule(FLUSH_MS);
    if (!this.#isBroken)
      this.#options.onTrouble?.({ error: error instanceof Error ? error : new Error(String(error)) });
    this.#isBroken = true;
    return this.#schedule(RETRY_MS);
  }
}

function canBlock(fd: number): boolean {
  try {
    const file = fstatSync(fd);
    return file.isFIFO() || file.isSocket();
  } catch {
    return false;
  }
}

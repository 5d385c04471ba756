// Nudges within this time lead to one round.
const NUDGE_MS = 20;

/** A task, and how often it runs. */
export interface PeriodicOptions {
  readonly everyMs: number;
  /** Returns a number from 0 to 1. It varies the intervals, so that servers do not work at the same time. */
  readonly random: () => number;
  readonly task: () => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** Runs a task repeatedly, one round at a time. */
export class Periodic {
  readonly #options: PeriodicOptions;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #nudged = false;
  #started = false;
  #stopped = false;

  constructor(options: PeriodicOptions) {
    this.#options = options;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    this.#started = true;
    this.#schedule(this.#options.everyMs * (0.5 + this.#options.random()));
  }

  /** Starts a round soon, or soon after the one in progress, because there is work. */
  nudge(): void {
    // Repeated calls must not postpone the round.
    if (!this.#started || this.#nudged) return;
    this.#nudged = true;
    if (!this.#round) this.#schedule(NUDGE_MS);
  }

  /** Resolves after the round in progress. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  #schedule(waitMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#run(), waitMs).unref();
  }

  #run(): void {
    const { task, onError, everyMs, random } = this.#options;
    this.#nudged = false;
    this.#round = task()
      .catch(onError)
      .finally(() => {
        this.#round = undefined;
        this.#schedule(this.#nudged ? NUDGE_MS : everyMs * (0.5 + random()));
      });
  }
}

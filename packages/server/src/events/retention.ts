import { Periodic } from '../scheduling/periodic.ts';
import type { EventContext } from './event-context.ts';

const EVERY_MS = 600_000;
const STEP = 500;
const DAY_MS = 86_400_000;

/** Removes old records in small steps, so that other statements are not delayed. */
export class Retention {
  readonly #context: EventContext;
  readonly #rounds: Periodic;

  constructor(context: EventContext) {
    this.#context = context;
    this.#rounds = new Periodic({
      everyMs: EVERY_MS,
      random: context.random,
      task: () => this.prune(),
      onError: (error) => context.log.warn({ err: error }, 'old records could not be removed; trying again later'),
    });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves after the round in progress. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Removes all records that are too old now. */
  async prune(): Promise<void> {
    const { store, config, now } = this.#context;
    for (;;) {
      const eventsBefore = now() - config().server.events_retention_days * DAY_MS;
      const removed = await store.prune({ eventsBefore, now: now(), limit: STEP });
      if (removed === 0 || this.#rounds.stopped) return;
    }
  }
}

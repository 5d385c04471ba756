import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionKey } from '../store/store.ts';
import type { ConnectionContext } from './connection-context.ts';
import type { FreshCredentials } from './fresh-credentials.ts';

const TICK_MS = 5_000;
const BATCH = 100;
const POSTPONE_MS = 3_600_000;

/**
 * Renews connections ahead of time. Each round asks the store for what is due and for nothing else; what fails comes again
 * when its back-off ends, and what cannot be renewed at all is put off, so that it does not stand in the way of others.
 */
export class BackgroundRefresh {
  readonly #context: ConnectionContext;
  readonly #fresh: FreshCredentials;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(context: ConnectionContext, fresh: FreshCredentials) {
    this.#context = context;
    this.#fresh = fresh;
  }

  start(): void {
    if (this.#stopped) return;
    // By chance, so that servers which were started together do not ask together.
    const wait = TICK_MS * (0.5 + this.#context.random());
    this.#timer = setTimeout(() => {
      this.#round = this.runDue()
        .catch((error: unknown) => this.#context.log.warn({ err: error }, 'background refresh paused'))
        .finally(() => this.start());
    }, wait).unref();
  }

  /** Ends after the round that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** Renews everything that is due now. */
  async runDue(): Promise<void> {
    const { store, now } = this.#context;
    while (!this.#stopped) {
      const due = await store.dueConnections({ now: now(), limit: BATCH });
      await Promise.all(due.map((key) => this.#renew(key)));
      if (due.length < BATCH) return;
    }
  }

  async #renew(key: ConnectionKey): Promise<void> {
    const { store, now, log } = this.#context;
    try {
      if (await this.#fresh.renewAhead(key)) return;
    } catch (error) {
      // What the provider, or the network, answered is recorded where it happened, and comes again.
      if (error instanceof NangoError && /^(refresh_failed|store_unavailable)$/.test(error.code)) return;
      log.warn({ integration: key.integration, err: error }, 'connection cannot be renewed ahead of time');
    }
    await store.postponeRefresh(key, now() + POSTPONE_MS);
  }
}

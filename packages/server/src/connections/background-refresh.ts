import { NangoError } from '../errors/nango-error.ts';
import { Periodic } from '../periodic.ts';
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
  readonly #rounds: Periodic;

  constructor(context: ConnectionContext, fresh: FreshCredentials) {
    this.#context = context;
    this.#fresh = fresh;
    this.#rounds = new Periodic({
      everyMs: TICK_MS,
      random: context.random,
      task: () => this.runDue(),
      onError: (error) => context.log.warn({ err: error }, 'background refresh paused'),
    });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Ends after the round that is under way. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Renews everything that is due now. */
  async runDue(): Promise<void> {
    const { store, now } = this.#context;
    while (!this.#rounds.stopped) {
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

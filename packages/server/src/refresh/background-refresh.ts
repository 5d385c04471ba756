import { NangoError } from '../errors/nango-error.ts';
import { hasTrait } from '../errors/registry.ts';
import { Periodic } from '../scheduling/periodic.ts';
import { connectionKeyText, type ConnectionKey } from '../store/store.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import type { FreshCredentials } from './fresh-credentials.ts';
import { DEFAULT_REFRESH_CONCURRENCY } from '../auth-modes/auth-mode.ts';

const TICK_MS = 5_000;
const BATCH = 100;
const POSTPONE_MS = 3_600_000;

/**
 * Refreshes connections ahead of time. Each round asks the store only for due connections. A failed one comes again
 * when its back-off ends. One that cannot be refreshed is postponed, so it does not delay others. A round waits for no
 * provider, and an Integration whose provider hangs uses only its own share of the work.
 */
export class BackgroundRefresh {
  readonly #context: ConnectionContext;
  readonly #fresh: Pick<FreshCredentials, 'refreshAhead'>;
  readonly #rounds: Periodic;
  /** Refreshes in flight, by the text of their key. */
  readonly #running = new Map<string, Promise<void>>();
  /** Number of refreshes in flight of each Integration. */
  readonly #counts = new Map<string, number>();

  constructor(context: ConnectionContext, fresh: Pick<FreshCredentials, 'refreshAhead'>) {
    this.#context = context;
    this.#fresh = fresh;
    this.#rounds = new Periodic({
      everyMs: TICK_MS,
      random: context.random,
      task: () => this.#beginDue(),
      onError: (error) => context.log.warn({ err: error }, 'background refresh paused'),
    });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves after the refreshes in flight. */
  async stop(): Promise<void> {
    await this.#rounds.stop();
    await Promise.all(this.#running.values());
  }

  /** Starts due refreshes, up to each Integration's share. The end of one leads to the next round. */
  async #beginDue(): Promise<void> {
    const { store, now } = this.#context;
    while (!this.#rounds.stopped) {
      const due = await store.dueConnections({ now: now(), limit: BATCH, except: this.#busy() });
      const begun = due.filter((key) => this.#begin(key));
      if (due.length < BATCH || begun.length === 0) return;
    }
  }

  #busy(): string[] {
    return [...this.#counts].flatMap(([name, count]) => (count >= this.#limitOf(name) ? [name] : []));
  }

  #limitOf(integration: string): number {
    return this.#context.config().integrations.get(integration)?.refreshConcurrency ?? DEFAULT_REFRESH_CONCURRENCY;
  }

  #begin(key: ConnectionKey): boolean {
    const { integration } = key;
    const name = connectionKeyText(key);
    const count = this.#counts.get(integration) ?? 0;
    if (this.#running.has(name) || count >= this.#limitOf(integration)) return false;
    this.#counts.set(integration, count + 1);
    this.#running.set(
      name,
      this.#refresh(key).finally(() => this.#ended(name, integration)),
    );
    return true;
  }

  #ended(name: string, integration: string): void {
    this.#running.delete(name);
    const left = (this.#counts.get(integration) ?? 1) - 1;
    if (left === 0) this.#counts.delete(integration);
    else this.#counts.set(integration, left);
    this.#rounds.nudge();
  }

  /** Never rejects. */
  async #refresh(key: ConnectionKey): Promise<void> {
    const { store, now, log } = this.#context;
    try {
      if (await this.#fresh.refreshAhead(key)) return;
    } catch (error) {
      // The refresh itself recorded the failure, and the connection becomes due again.
      if (error instanceof NangoError && hasTrait(error.code, 'retried')) return;
      log.warn({ integration: key.integration, err: error }, 'connection cannot be refreshed ahead of time');
    }
    await store
      .postponeRefresh(key, now() + POSTPONE_MS)
      .catch((error: unknown) => log.warn({ err: error }, 'background refresh paused'));
  }
}

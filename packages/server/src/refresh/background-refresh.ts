import { NangoError } from '../errors/nango-error.ts';
import { hasTrait } from '../errors/registry.ts';
import { Periodic } from '../scheduling/periodic.ts';
import type { ConnectionRow } from '../store/store.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import type { FreshCredentials } from './fresh-credentials.ts';
import { DEFAULT_REFRESH_CONCURRENCY } from '../auth-modes/auth-mode.ts';

const TICK_MS = 5_000;
const BATCH_SIZE = 100;
const POSTPONE_MS = 3_600_000;

/**
 * Refreshes connections ahead of time. Each round asks the store only for due connections. A connection whose refresh
 * failed becomes due again after its back-off. A connection that cannot be refreshed is postponed, so that it does not
 * delay others. A round waits for no provider. An Integration whose provider hangs uses only its own share of the work.
 */
export class BackgroundRefresh {
  readonly #context: ConnectionContext;
  readonly #fresh: Pick<FreshCredentials, 'refreshAhead'>;
  readonly #rounds: Periodic;
  /** Refreshes in flight, by the connection's id. */
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

  /** Starts the rounds. */
  start(): void {
    this.#rounds.start();
  }

  /** Stops the rounds. Resolves after the refreshes in flight. */
  async stop(): Promise<void> {
    await this.#rounds.stop();
    await Promise.all(this.#running.values());
  }

  /** Starts due refreshes, up to each Integration's share. The end of a refresh triggers the next round. */
  async #beginDue(): Promise<void> {
    const { store, now } = this.#context;
    while (!this.#rounds.stopped) {
      const due = await store.dueConnections({ now: now(), limit: BATCH_SIZE, except: this.#busyIntegrations() });
      const begun = due.filter((connection) => this.#begin(connection));
      if (due.length < BATCH_SIZE || begun.length === 0) return;
    }
  }

  #busyIntegrations(): string[] {
    return [...this.#counts].flatMap(([name, count]) => (count >= this.#limitOf(name) ? [name] : []));
  }

  #limitOf(integration: string): number {
    return this.#context.config().integrations.get(integration)?.refreshConcurrency ?? DEFAULT_REFRESH_CONCURRENCY;
  }

  #begin(connection: ConnectionRow): boolean {
    const { id, integration } = connection;
    const count = this.#counts.get(integration) ?? 0;
    if (this.#running.has(id) || count >= this.#limitOf(integration)) return false;
    this.#counts.set(integration, count + 1);
    this.#running.set(
      id,
      this.#refresh(connection).finally(() => this.#finish(connection)),
    );
    return true;
  }

  #finish({ id, integration }: ConnectionRow): void {
    this.#running.delete(id);
    const left = (this.#counts.get(integration) ?? 1) - 1;
    if (left === 0) this.#counts.delete(integration);
    else this.#counts.set(integration, left);
    this.#rounds.nudge();
  }

  /** Never rejects. */
  async #refresh(due: ConnectionRow): Promise<void> {
    const { store, now, log } = this.#context;
    try {
      if (await this.#fresh.refreshAhead(due)) return;
    } catch (error) {
      // The refresh itself recorded the failure, and the connection becomes due again.
      if (error instanceof NangoError && hasTrait(error.code, 'retried')) return;
      log.warn({ integration: due.integration, err: error }, 'connection cannot be refreshed ahead of time');
    }
    await store
      .postponeRefresh(due, now() + POSTPONE_MS)
      .catch((error: unknown) => log.warn({ err: error }, 'background refresh paused'));
  }
}

import { NangoError } from '../errors/nango-error.ts';
import type { OpenConnection } from '../connections/connection-context.ts';

const MAX_WAITING = 1_000;

/** The requests of one Integration: the number in flight, and those that wait, by connection. */
interface Lane {
  running: number;
  waiting: number;
  readonly runningOf: Map<string, number>;
  readonly queues: Map<string, Waiter[]>;
}

interface Waiter {
  readonly perConnection: number;
  readonly resolve: () => void;
}

/**
 * Limits the requests in flight to APIs, by Integration and by connection. Waiting requests take turns by connection,
 * so a connection with a thousand requests does not delay the others. Each server has its own limits.
 */
export class RequestLimits {
  readonly #lanes = new Map<string, Lane>();

  /**
   * Takes a place. Returns undefined if one is free, else a promise. It rejects with `too_many_requests` if the wait is
   * too long, or too many wait already. {@link RequestLimits.leave} must follow.
   */
  enter({ integration, row }: OpenConnection): Promise<void> | undefined {
    const { perIntegration, perConnection } = integration.limits;
    const lane = this.#laneOf(integration.name);
    const running = lane.runningOf.get(row.id) ?? 0;
    if (lane.running < perIntegration && running < perConnection) return take(lane, row.id);
    return this.#wait(lane, { integration, row });
  }

  /** Gives back a place that {@link RequestLimits.enter} took. */
  leave({ integration, row }: Pick<OpenConnection, 'integration' | 'row'>): void {
    const lane = this.#lanes.get(integration.name);
    if (!lane) return;
    lane.running -= 1;
    const running = (lane.runningOf.get(row.id) ?? 1) - 1;
    if (running === 0) lane.runningOf.delete(row.id);
    else lane.runningOf.set(row.id, running);
    if (lane.waiting > 0) admit(lane, integration.limits.perIntegration);
    else if (lane.running === 0) this.#lanes.delete(integration.name);
  }

  /** Number of requests in flight. */
  get inFlight(): number {
    return this.#sum(({ running }) => running);
  }

  /** Number of requests that wait for a place. */
  get waiting(): number {
    return this.#sum(({ waiting }) => waiting);
  }

  /** Takes a place, runs a task and gives the place back. Throws the errors of {@link RequestLimits.enter}. */
  async run<T>(connection: OpenConnection, task: () => Promise<T>): Promise<T> {
    await this.enter(connection);
    try {
      return await task();
    } finally {
      this.leave(connection);
    }
  }

  #sum(count: (lane: Lane) => number): number {
    return [...this.#lanes.values()].reduce((sum, lane) => sum + count(lane), 0);
  }

  #laneOf(name: string): Lane {
    const existing = this.#lanes.get(name);
    if (existing) return existing;
    const lane: Lane = { running: 0, waiting: 0, runningOf: new Map(), queues: new Map() };
    this.#lanes.set(name, lane);
    return lane;
  }

  #wait(lane: Lane, { integration, row }: Pick<OpenConnection, 'integration' | 'row'>): Promise<void> {
    const { perConnection, queueSeconds } = integration.limits;
    if (lane.waiting >= MAX_WAITING || queueSeconds === 0) return Promise.reject(tooMany(integration.name));
    return new Promise((resolve, reject) => {
      const queue = lane.queues.get(row.id) ?? [];
      lane.queues.set(row.id, queue);
      lane.waiting += 1;
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(waiter), 1);
        if (queue.length === 0) lane.queues.delete(row.id);
        lane.waiting -= 1;
        reject(tooMany(integration.name));
      }, queueSeconds * 1000).unref();
      const waiter = { perConnection, resolve: () => (clearTimeout(timer), resolve()) };
      queue.push(waiter);
    });
  }
}

function take(lane: Lane, connection: string): undefined {
  lane.running += 1;
  lane.runningOf.set(connection, (lane.runningOf.get(connection) ?? 0) + 1);
  return undefined;
}

/** Gives free places to waiting requests. The connection that was served longest ago is first. */
function admit(lane: Lane, limit: number): void {
  for (const [connection, queue] of lane.queues) {
    if (lane.running >= limit) return;
    const [next] = queue;
    if (!next || (lane.runningOf.get(connection) ?? 0) >= next.perConnection) continue;
    queue.shift();
    lane.waiting -= 1;
    // The order of the map is the order of turns.
    lane.queues.delete(connection);
    if (queue.length > 0) lane.queues.set(connection, queue);
    take(lane, connection);
    next.resolve();
  }
}

function tooMany(integration: string): NangoError {
  return new NangoError(
    'too_many_requests',
    `Too many requests to "${integration}" are in flight on this server. Send fewer at the same time, ` +
      'or raise max_concurrent_requests or max_concurrent_requests_per_connection.',
    { retryAfter: 1 },
  );
}

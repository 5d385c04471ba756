import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { z } from 'zod';
import type { FastifyBaseLogger } from 'fastify';
import type { RunningServer } from '../start.ts';

/** Facts about a server that is ready. */
export type Ready = Pick<RunningServer, 'port' | 'callbackUrl' | 'storeDescription' | 'integrations' | 'notices'>;

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
const METRICS_TIMEOUT_MS = 5_000;

/** The schema of a worker's message to its parent process. */
const workerMessageSchema = z.discriminatedUnion('nango', [
  z.object({
    nango: z.literal('ready'),
    ready: z.object({
      port: z.number(),
      callbackUrl: z.string(),
      storeDescription: z.string(),
      integrations: z.array(z.string()),
      notices: z.array(z.string()),
    }),
  }),
  z.object({ nango: z.literal('metrics'), id: z.string() }),
]);

const metricsMessageSchema = z.object({ nango: z.literal('metrics'), id: z.string(), text: z.string() });

/** Whether {@link Workers} started this process. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/**
 * Runs several server processes on one port. A worker that ends is replaced after a pause, which grows with each
 * repetition. Other servers take over its work.
 */
export class Workers {
  readonly #log: FastifyBaseLogger;
  readonly #registry = new AggregatorRegistry();
  readonly #count: number;
  #stopping = false;

  constructor(count: number, log: FastifyBaseLogger) {
    this.#count = count;
    this.#log = log;
  }

  /**
   * Starts the workers, and resolves when all are ready. The first starts alone, because it creates keys and migrates.
   * Resolves to undefined if the first could not start.
   */
  async start(): Promise<Ready | undefined> {
    const ready = await this.#fork(0);
    if (!ready) return undefined;
    await Promise.all(Array.from({ length: this.#count - 1 }, (_, index) => this.#fork(index + 1)));
    return ready;
  }

  /** Ends all workers. Resolves to whether each ended without an error. */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    const codes = await Promise.all(
      workers.map(async (worker) => {
        worker.kill('SIGTERM');
        const [code] = (await once(worker, 'exit')) as [number];
        return code;
      }),
    );
    return codes.every((code) => code === 0);
  }

  /** Starts a worker. Resolves when it is ready, or to undefined if it ended before. */
  #fork(index: number, deaths = 0): Promise<Ready | undefined> {
    const worker = cluster.fork();
    const started = performance.now();
    return new Promise((resolve) => {
      let isReady = false;
      worker.on('message', (message: unknown) => {
        const parsed = workerMessageSchema.safeParse(message).data;
        if (parsed?.nango === 'metrics') void this.#sendMetrics(worker, parsed.id);
        if (parsed?.nango !== 'ready') return;
        isReady = true;
        this.#log.info({ worker: index, pid: worker.process.pid }, 'a worker is ready');
        resolve(parsed.ready);
      });
      worker.once('exit', (code, signal) => {
        resolve(undefined);
        if (this.#stopping || (!isReady && deaths === 0)) return;
        const deathsInARow = performance.now() - started > MAX_PAUSE_MS ? 1 : deaths + 1;
        this.#log.error({ worker: index, code, signal }, 'a worker ended; another takes its place');
        void this.#replace(index, deathsInARow);
      });
    });
  }

  async #replace(index: number, deaths: number): Promise<void> {
    await delay(Math.min(FIRST_PAUSE_MS * 2 ** (deaths - 1), MAX_PAUSE_MS));
    if (!this.#stopping) await this.#fork(index, deaths);
  }

  async #sendMetrics(worker: Worker, id: string): Promise<void> {
    const text = await this.#registry.clusterMetrics().catch((error: unknown) => {
      this.#log.error({ err: error }, 'the workers’ metrics could not be gathered');
      return '';
    });
    if (worker.isConnected()) worker.send({ nango: 'metrics', id, text });
  }
}

/** Disconnects from the parent process, because the connection would keep this process alive. */
export function disconnectFromParent(): void {
  if (cluster.worker?.isConnected()) cluster.worker.disconnect();
}

/** Reports to the parent process that this worker is ready. */
export function reportReady(ready: Ready): void {
  process.send?.({ nango: 'ready', ready });
}

/** Creates a function that returns the summed metrics of all workers. */
export function gatherMetrics(registry: Registry): () => Promise<string> {
  AggregatorRegistry.setRegistries([registry]);
  // The constructor begins to respond to the parent process.
  void new AggregatorRegistry();
  return async () => {
    const id = crypto.randomUUID();
    const response = Promise.withResolvers<string>();
    const onMessage = (message: unknown) => {
      const parsed = metricsMessageSchema.safeParse(message).data;
      if (parsed?.id === id) response.resolve(parsed.text);
    };
    process.on('message', onMessage);
    const timer = setTimeout(
      () => response.reject(new Error('The other workers did not respond.')),
      METRICS_TIMEOUT_MS,
    );
    try {
      process.send?.({ nango: 'metrics', id });
      return await response.promise;
    } finally {
      clearTimeout(timer);
      process.off('message', onMessage);
    }
  };
}

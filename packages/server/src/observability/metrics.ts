import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { CallReport } from '../connections/call-report.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What the gauges ask for when metrics are read. */
export interface MetricSources {
  readonly callsUnderWay: () => number;
  readonly callsWaiting: () => number;
}

/** Prometheus metrics. Names of integrations are labels; user ids, of which there is no end, are not. */
export class Metrics {
  readonly registry = new Registry();
  readonly #calls: Counter<'integration' | 'via' | 'status'>;
  readonly #duration: Histogram<'integration' | 'via'>;
  readonly #firstByte: Histogram<'integration' | 'via'>;
  readonly #bytes: Counter<'integration' | 'direction'>;
  readonly #again: Counter<'integration' | 'why'>;
  readonly #renewals: Counter<'integration' | 'outcome'>;

  constructor(sources: MetricSources) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#calls = new Counter({
      name: 'nango_api_calls_total',
      help: 'Calls to external APIs, by the API’s status or the code of our own error',
      labelNames: ['integration', 'via', 'status'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'nango_api_call_seconds',
      help: 'Whole duration of calls to external APIs',
      labelNames: ['integration', 'via'],
      buckets: SECONDS,
      registers,
    });
    this.#firstByte = new Histogram({
      name: 'nango_api_call_first_byte_seconds',
      help: 'Time until the answer of a proxied call began',
      labelNames: ['integration', 'via'],
      buckets: SECONDS,
      registers,
    });
    this.#bytes = new Counter({
      name: 'nango_api_call_bytes_total',
      help: 'Bytes of bodies, as they were on the wire',
      labelNames: ['integration', 'direction'],
      registers,
    });
    this.#again = new Counter({
      name: 'nango_api_calls_repeated_total',
      help: 'Requests sent again: quota (out of quota), renewal (token refused), redirect',
      labelNames: ['integration', 'why'],
      registers,
    });
    this.#renewals = new Counter({
      name: 'nango_token_renewals_total',
      help: 'Renewals of access tokens, by outcome',
      labelNames: ['integration', 'outcome'],
      registers,
    });
    addGauge(this.registry, {
      name: 'nango_api_calls_under_way',
      help: 'Calls under way',
      value: sources.callsUnderWay,
    });
    addGauge(this.registry, {
      name: 'nango_api_calls_waiting',
      help: 'Calls that wait for their turn',
      value: sources.callsWaiting,
    });
  }

  call({ integration, via, status, error, ms, firstByteMs, sentBytes, receivedBytes, ...again }: CallReport): void {
    this.#calls.inc({ integration, via, status: error ?? String(status) });
    this.#duration.observe({ integration, via }, ms / 1000);
    if (firstByteMs !== undefined) this.#firstByte.observe({ integration, via }, firstByteMs / 1000);
    if (sentBytes > 0) this.#bytes.inc({ integration, direction: 'sent' }, sentBytes);
    if (receivedBytes > 0) this.#bytes.inc({ integration, direction: 'received' }, receivedBytes);
    if (again.retries > 0) this.#again.inc({ integration, why: 'quota' }, again.retries);
    if (again.renewals > 0) this.#again.inc({ integration, why: 'renewal' }, again.renewals);
    if (again.redirects > 0) this.#again.inc({ integration, why: 'redirect' }, again.redirects);
  }

  renewal(integration: string, outcome: string): void {
    this.#renewals.inc({ integration, outcome });
  }
}

function addGauge(
  registry: Registry,
  { name, help, value }: { name: string; help: string; value: () => number },
): void {
  registry.registerMetric(
    new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(value());
      },
    }),
  );
}

import { Counter, Gauge, Registry, collectDefaultMetrics, type Metric } from 'prom-client';
import type { CallReport } from '../calls/call-report.ts';
import { CallTallies } from './call-tallies.ts';

/** Functions that are called when metrics are read. */
export interface MetricSources {
  readonly callsInFlight: () => number;
  readonly callsWaiting: () => number;
}

/** Prometheus metrics. Names of integrations are labels; user ids are not, because their number is unlimited. */
export class Metrics {
  readonly registry = new Registry();
  readonly #calls = new CallTallies();
  readonly #repeated: Counter<'integration' | 'why'>;
  readonly #refreshes: Counter<'integration' | 'outcome'>;

  constructor({ callsInFlight, callsWaiting }: MetricSources) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    for (const metric of this.#calls.metrics()) this.registry.registerMetric(metric as unknown as Metric);
    this.#repeated = new Counter({
      name: 'nango_api_calls_repeated_total',
      help: 'Requests sent again: quota (used up), renewal (token rejected and refreshed), redirect',
      labelNames: ['integration', 'why'],
      registers,
    });
    this.#refreshes = new Counter({
      name: 'nango_token_renewals_total',
      help: 'Refreshes of access tokens, by outcome',
      labelNames: ['integration', 'outcome'],
      registers,
    });
    this.#addGauge('nango_api_calls_under_way', 'Calls in flight', callsInFlight);
    this.#addGauge('nango_api_calls_waiting', 'Calls that wait for their turn', callsWaiting);
  }

  /** Counts a call. Without a connection, callers can send any Integration's name, which must not become a label. */
  call(report: CallReport): void {
    const integration = report.uuid === undefined ? '' : report.integration;
    this.#calls.add(integration, report);
    const { retries, refreshes, redirects } = report;
    if (retries > 0) this.#repeated.inc({ integration, why: 'quota' }, retries);
    if (refreshes > 0) this.#repeated.inc({ integration, why: 'renewal' }, refreshes);
    if (redirects > 0) this.#repeated.inc({ integration, why: 'redirect' }, redirects);
  }

  refresh(integration: string, outcome: string): void {
    this.#refreshes.inc({ integration, outcome });
  }

  #addGauge(name: string, help: string, value: () => number): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(value());
      },
    });
    this.registry.registerMetric(gauge);
  }
}

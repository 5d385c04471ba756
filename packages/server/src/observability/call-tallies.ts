import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { CallReport } from '../calls/call-report.ts';

// Upper bounds of the buckets, in milliseconds.
const BOUNDS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/** The durations of a histogram. */
interface Durations {
  /** Counts by bucket, not cumulative. The last bucket has no upper bound. */
  readonly counts: Float64Array;
  sumMs: number;
}

interface Tally {
  readonly integration: string;
  readonly via: CallReport['via'];
  readonly byStatus: Map<number | string, number>;
  readonly durations: Durations;
  readonly firstBytes: Durations;
  sentBytes: number;
  receivedBytes: number;
}

type Values = MetricObjectWithValues<MetricValue<string>>;

/**
 * Counts calls, and turns the counts into Prometheus metrics when these are read. The library's own counters look up
 * labels at each call, which took a twentieth of a proxied request's time.
 */
export class CallTallies {
  readonly #tallies = { proxy: new Map<string, Tally>(), request: new Map(), action: new Map() } satisfies Record<
    CallReport['via'],
    Map<string, Tally>
  >;

  add(integration: string, { via, status, error, ms, firstByteMs, sentBytes, receivedBytes }: CallReport): void {
    const tallies: Map<string, Tally> = this.#tallies[via];
    const tally = tallies.get(integration) ?? createTally(integration, via);
    tallies.set(integration, tally);
    const outcome = error ?? status ?? 0;
    tally.byStatus.set(outcome, (tally.byStatus.get(outcome) ?? 0) + 1);
    observe(tally.durations, ms);
    if (firstByteMs !== undefined) observe(tally.firstBytes, firstByteMs);
    tally.sentBytes += sentBytes;
    tally.receivedBytes += receivedBytes;
  }

  /** Returns the metrics for a registry of prom-client. */
  metrics(): { name: string; get(): Promise<Values> }[] {
    return [
      this.#metric({ name: 'nango_api_calls_total', type: 'counter', help: HELP.calls }, callValues),
      this.#metric({ name: 'nango_api_call_bytes_total', type: 'counter', help: HELP.bytes }, byteValues),
      this.#metric({ name: 'nango_api_call_seconds', type: 'histogram', help: HELP.seconds }, (tally) =>
        histogramValues('nango_api_call_seconds', tally, tally.durations),
      ),
      this.#metric({ name: 'nango_api_call_first_byte_seconds', type: 'histogram', help: HELP.firstByte }, (tally) =>
        histogramValues('nango_api_call_first_byte_seconds', tally, tally.firstBytes),
      ),
    ];
  }

  #metric(
    definition: { name: string; type: 'counter' | 'histogram'; help: string },
    valuesOf: (tally: Tally) => MetricValue<string>[],
  ): { name: string; get(): Promise<Values> } {
    const all = () => Object.values(this.#tallies).flatMap((tallies: Map<string, Tally>) => [...tallies.values()]);
    // The type of a metric is a string, although the library declares a number.
    const metric = { ...definition, aggregator: 'sum' } as unknown as Omit<Values, 'values'>;
    return { name: definition.name, get: async () => ({ ...metric, values: all().flatMap(valuesOf) }) };
  }
}

const HELP = {
  calls: 'Calls to external APIs, by the API’s status or the code of our own error',
  bytes: 'Bytes of bodies, as sent and received',
  seconds: 'Whole duration of calls to external APIs',
  firstByte: 'Time until the response of a proxied call began',
};

function createTally(integration: string, via: CallReport['via']): Tally {
  const durations = () => ({ counts: new Float64Array(BOUNDS.length + 1), sumMs: 0 });
  const empty = { durations: durations(), firstBytes: durations(), sentBytes: 0, receivedBytes: 0 };
  return { integration, via, byStatus: new Map(), ...empty };
}

function observe(durations: Durations, ms: number): void {
  let bucket = 0;
  while (ms > (BOUNDS[bucket] ?? Infinity)) bucket += 1;
  durations.counts[bucket] = (durations.counts[bucket] ?? 0) + 1;
  durations.sumMs += ms;
}

function callValues({ integration, via, byStatus }: Tally): MetricValue<string>[] {
  return [...byStatus].map(([status, value]) => ({ labels: { integration, via, status }, value }));
}

function byteValues({ integration, via, sentBytes, receivedBytes }: Tally): MetricValue<string>[] {
  return [
    { labels: { integration, via, direction: 'sent' }, value: sentBytes },
    { labels: { integration, via, direction: 'received' }, value: receivedBytes },
  ];
}

function histogramValues(
  name: string,
  { integration, via }: Tally,
  { counts, sumMs }: Durations,
): (MetricValue<string> & { metricName: string })[] {
  const labels = { integration, via };
  let total = 0;
  const buckets = [...counts].map((count, index) => {
    total += count;
    const bound = BOUNDS[index];
    const le = bound === undefined ? '+Inf' : bound / 1000;
    return { labels: { le, ...labels }, value: total, metricName: `${name}_bucket` };
  });
  if (total === 0) return [];
  return [
    ...buckets,
    { labels, value: sumMs / 1000, metricName: `${name}_sum` },
    { labels, value: total, metricName: `${name}_count` },
  ];
}

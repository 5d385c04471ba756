import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../test/support/postgres.ts';
import { hasCommand, PINNED, Processes, SECRET_KEY, type Running } from './processes.ts';

// Compares the request path with that of a bare node:http and undici proxy, and of others. Servers have one core.
// Other load on the machine only slows a turn down, so the faster quartiles are compared.
const CLIENTS = 32;
const GIGABYTE = 1024 ** 3;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '11' },
    seconds: { type: 'string', default: '2' },
    many: { type: 'string', default: '100000' },
    only: { type: 'string', default: 'rates,random,reads,large,workers' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const many = Number(values.many);
const headers = { authorization: `Bearer ${SECRET_KEY}`, 'nango-integration': 'acme', 'nango-user-id': '0' };
const atRandom = { ...headers, 'nango-user-id': '{n}' };

const cleanups: (() => unknown)[] = [];
const processes = new Processes();
let failed = false;
try {
  if (!PINNED) process.stdout.write('taskset or a second core is missing, so servers and callers share all cores.\n');
  const benches = {
    rates: compareRates,
    random: compareRandom,
    reads: compareReads,
    large: compareLarge,
    workers: compareWorkers,
  };
  for (const [name, bench] of Object.entries(benches)) if (values.only.split(',').includes(name)) await bench();
} finally {
  await processes.end();
  for (const cleanup of cleanups.toReversed()) await cleanup();
}
process.exitCode = failed ? 1 : 0;

interface Subject {
  readonly name: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  /** The process whose processor time is measured. */
  readonly server?: Running;
  readonly users?: number;
  /** Seconds of load before the measurement, so that V8 compiles the code that runs often. */
  readonly warmUp?: number;
}

interface Figures {
  readonly rate: number[];
  readonly p99: number[];
  readonly single: number[];
  /** Processor time of a request, in microseconds. */
  readonly processorUs: number[];
}

/** Measures the subjects in turn. The first one is the baseline. */
async function measure(subjects: readonly Subject[], { single = true } = {}): Promise<Map<string, Figures>> {
  const figures = new Map(
    subjects.map(({ name }): [string, Figures] => [name, { rate: [], p99: [], single: [], processorUs: [] }]),
  );
  for (const subject of subjects)
    await processes.load({ ...subject, clients: CLIENTS, seconds: subject.warmUp ?? 5, inOrder: true });
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of subjects) {
      // During the turns of the others, V8 may have dropped the compiled code.
      await processes.load({ ...subject, clients: CLIENTS, seconds: 1 });
      const before = subject.server?.processorUs() ?? Number.NaN;
      const { rate, p99 } = await processes.load({ ...subject, clients: CLIENTS, seconds });
      const usedUs = (subject.server?.processorUs() ?? Number.NaN) - before;
      figures.get(subject.name)?.rate.push(rate);
      figures.get(subject.name)?.p99.push(p99);
      figures.get(subject.name)?.processorUs.push(usedUs / (rate * seconds));
      if (!single) continue;
      const one = await processes.load({ ...subject, clients: 1, seconds: Math.ceil(seconds / 2) });
      figures.get(subject.name)?.single.push(one.p50);
    }
  }
  return figures;
}

async function compareRates(): Promise<void> {
  const { url: upstream } = await processes.api('api');
  const postgres = await startPostgres({ after: (cleanup) => cleanups.push(cleanup) });
  const start = (options: Partial<Parameters<Processes['nango']>[0]>) => processes.nango({ upstream, ...options });
  const subject = (name: string, server: Running, path = '/v1/items'): Subject => {
    return { name, server, url: `${server.url}${path}`, headers };
  };
  const databaseUrl = await postgres.createDatabase();
  const subjects = [
    subject('bare', await processes.subject('bare', { upstream })),
    subject('nango, SQLite', await start({}), '/proxy/v1/items'),
    subject('nango, PostgreSQL', await start({ databaseUrl }), '/proxy/v1/items'),
    subject('@fastify/reply-from', await processes.subject('replyFrom', { upstream })),
    ...(hasCommand('nginx') ? [subject('nginx', await processes.nginx(upstream))] : []),
  ];
  const figures = await measure(subjects);
  const [base, sqlite, pg, reply] = [...figures.values()];
  print('A proxied GET, 200 bytes, 32 clients', figures);
  if (!base || !sqlite || !pg || !reply) return;
  check('SQLite / bare', rateRatio(sqlite, base), { atLeast: 0.7 });
  check('PostgreSQL / bare', rateRatio(pg, base), { atLeast: 0.7 });
  check('SQLite / bare, p99', tailRatio(sqlite, base), { atMost: 1.5 });
  check('PostgreSQL / bare, p99', tailRatio(pg, base), { atMost: 1.5 });
  check('added at one client, p50, ms', median(sqlite.single) - median(base.single), { atMost: 0.15 });
  check('SQLite / @fastify/reply-from', rateRatio(sqlite, reply), { atLeast: 1.1 });
  // Other work on the machine changes rates much more than the processor time of a request.
  if (Number.isNaN(median(base.processorUs))) return;
  check('SQLite / bare, by processor time', processorRatio(sqlite, base), { atLeast: 0.7 });
  check('PostgreSQL / bare, by processor time', processorRatio(pg, base), { atLeast: 0.7 });
  check('SQLite / reply-from, by processor time', processorRatio(sqlite, reply), { atLeast: 1.1 });
}

/** Uses many connections, without a bar. With HTTP/1.1 each has its own sockets. With HTTP/2 all share a session. */
async function compareRandom(): Promise<void> {
  const { url: upstream } = await processes.api('api');
  const bare = await processes.subject('bare', { upstream });
  const start = async (name: string, options: Partial<Parameters<Processes['nango']>[0]>): Promise<Subject> => {
    const { url } = await processes.nango({ upstream, connections: many, cacheSize: many, ...options });
    return { name, url: `${url}/proxy/v1/items`, headers: atRandom, users: many, warmUp: Math.ceil(many / 4_000) };
  };
  const secure = await processes.http2Api();
  const figures = await measure([
    { name: 'bare', url: `${bare.url}/v1/items`, headers },
    await start('HTTP/1.1', {}),
    await start('HTTP/1.1, 10000 in memory', { cacheSize: 10_000 }),
    await start('HTTP/1.1, share_sockets', { sharesSockets: true }),
    ...(secure ? [await start('HTTP/2', { upstream: secure.url, authority: secure.authority })] : []),
  ]);
  print(`A proxied GET, ${many} connections at random`, figures);
  const [[, base], ...ours] = [...figures] as [[string, Figures], ...[string, Figures][]];
  for (const [name, figure] of ours) check(`${name} / bare`, rateRatio(figure, base), {});
}

async function compareReads(): Promise<void> {
  const { url: upstream } = await processes.api('api');
  const constant = await processes.subject('constant');
  const nango = await processes.nango({ upstream });
  const figures = await measure(
    [
      { name: 'node:http, constant', url: `${constant.url}/`, headers },
      { name: 'nango', url: `${nango.url}/api/connection?integration=acme&userId=0`, headers },
    ],
    { single: false },
  );
  const [base, ours] = [...figures.values()];
  print('GET one connection’s credentials', figures);
  if (base && ours) check('nango / constant response', rateRatio(ours, base), { atLeast: 0.75 });
}

async function compareLarge(): Promise<void> {
  const { url: upstream } = await processes.api('bytes');
  const bare = await processes.subject('bare', { upstream });
  const nango = await processes.nango({ upstream });
  for (const [title, send] of [
    ['1 GB down', download],
    ['1 GB up', upload],
  ] as const) {
    const taken: Record<'bare' | 'nango', number[]> = { bare: [], nango: [] };
    // The first exchange grows the process to its usual size.
    await send(`${nango.url}/proxy`, GIGABYTE / 4);
    const before = nango.rss() ?? Number.NaN;
    let peak = before;
    const watch = setInterval(() => (peak = Math.max(peak, nango.rss() ?? 0)), 20);
    for (let round = 0; round < 3; round += 1) {
      taken.bare.push(await send(bare.url, GIGABYTE));
      taken.nango.push(await send(`${nango.url}/proxy`, GIGABYTE));
    }
    clearInterval(watch);
    process.stdout.write(
      `\n${title}: bare ${rateOf(median(taken.bare))}, nango ${rateOf(median(taken.nango))}, ` +
        `resident ${(before / 2 ** 20).toFixed(0)} MB, at most ${(peak / 2 ** 20).toFixed(0)} MB\n`,
    );
    check(`${title}, nango / bare`, median(taken.bare) / median(taken.nango), { atLeast: 0.9 });
    check(`${title}, growth of memory, MB`, (peak - before) / 2 ** 20, { atMost: 40 });
  }
}

async function compareWorkers(): Promise<void> {
  const { url: upstream } = await processes.api('api');
  const one = await processes.nango({ upstream });
  const two = await processes.nango({ upstream, workers: 2, cores: '0,1' });
  const figures = await measure(
    [
      { name: 'one process', url: `${one.url}/proxy/v1/items`, headers },
      { name: 'two workers, two cores', url: `${two.url}/proxy/v1/items`, headers },
    ],
    { single: false },
  );
  const [single, double] = [...figures.values()];
  print('Workers', figures);
  if (single && double) check('two workers / one process', rateRatio(double, single), { atLeast: 1.7 });
}

/** Resolves to the milliseconds that it took. */
function download(url: string, size: number): Promise<number> {
  return exchange(url, `GET`, { path: `/${size}`, expected: size });
}

function upload(url: string, size: number): Promise<number> {
  return exchange(url, 'POST', { path: '/in', expected: 2, upload: size });
}

function exchange(
  url: string,
  method: string,
  { path, expected, upload = 0 }: { path: string; expected: number; upload?: number },
): Promise<number> {
  const { hostname, port, pathname, host } = new URL(url);
  const fields = Object.entries({ host, ...headers, ...(upload ? { 'content-length': String(upload) } : {}) });
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => {
      const target = `${pathname === '/' ? '' : pathname}${path}`;
      socket.write(
        `${method} ${target} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
      );
      push();
    });
    const chunk = Buffer.alloc(65_536, 'y');
    let left = upload;
    let missing = -1;
    const push = () => {
      while (left > 0) {
        left -= chunk.length;
        if (!socket.write(chunk)) return;
      }
    };
    socket.on('drain', push);
    socket.on('error', reject);
    socket.on('data', (data) => {
      if (missing === -1) {
        const head = data.toString('latin1', 0, 2_000);
        if (!head.startsWith('HTTP/1.1 200')) return reject(new Error(head));
        missing = head.indexOf('\r\n\r\n') + 4 + expected;
      }
      missing -= data.length;
      if (missing > 0) return;
      socket.destroy();
      resolve(performance.now() - started);
    });
  });
}

function print(title: string, figures: ReadonlyMap<string, Figures>): void {
  process.stdout.write(`\n${title}\n`);
  for (const [name, { rate, p99, single, processorUs }] of figures) {
    const alone = single.length === 0 ? '' : `   one client p50 ${median(single).toFixed(3)} ms`;
    const used = median(processorUs);
    const processor = Number.isNaN(used) ? '' : `   processor ${used.toFixed(0)} µs`;
    process.stdout.write(
      `  ${name.padEnd(28)} ${quantile(rate, 0.75).toFixed(0).padStart(6)} /s` +
        `   p99 ${quantile(p99, 0.25).toFixed(2)} ms${alone}${processor}\n`,
    );
  }
}

function check(what: string, value: number, { atLeast, atMost }: { atLeast?: number; atMost?: number }): void {
  const isMet = value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity);
  const bar = atLeast ?? atMost;
  const verdict =
    bar === undefined ? '' : `   bar ${atLeast === undefined ? '≤' : '≥'} ${bar}   ${isMet ? 'met' : 'MISSED'}`;
  process.stdout.write(`  ${what.padEnd(38)} ${value.toFixed(3)}${verdict}\n`);
  failed ||= !isMet;
}

/** Compares the rates at the upper quartile, where the fastest quarter of the turns begins. */
function rateRatio(one: Figures, other: Figures): number {
  return quantile(one.rate, 0.75) / quantile(other.rate, 0.75);
}

/** How many requests one server handles with the processor time that the other one needs for a request. */
function processorRatio(one: Figures, other: Figures): number {
  return median(other.processorUs) / median(one.processorUs);
}

function tailRatio(one: Figures, other: Figures): number {
  return quantile(one.p99, 0.25) / quantile(other.p99, 0.25);
}

function rateOf(milliseconds: number): string {
  return `${(GIGABYTE / 2 ** 20 / (milliseconds / 1000)).toFixed(0)} MB/s`;
}

function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

function quantile(numbers: readonly number[], share: number): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * share)] ?? Number.NaN;
}

import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { freePort } from '../test/support/free-port.ts';

// What the proxy costs beside a bare node:http server that passes requests on with undici and one constant header: requests
// a second, latency, and how fast large bodies pass, in turns, each server in a process of its own.
const SECRET_KEY = 'bench-secret-key';
const CLIENTS = 32;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    role: { type: 'string' },
    port: { type: 'string' },
    upstream: { type: 'string' },
  },
});

if (values.role === 'upstream') runUpstream(Number(values.port));
else if (values.role === 'bare') runBare(Number(values.port), values.upstream ?? '');
else await main();

/** An API that answers 200 bytes to everything. */
function runUpstream(port: number): void {
  const body = Buffer.from(JSON.stringify({ text: 'x'.repeat(189) }));
  createServer((incoming, response) => {
    incoming.resume();
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  }).listen(port, '127.0.0.1');
}

/** The least that a proxy which authorizes has to do. */
function runBare(port: number, upstream: string): void {
  const agent = new Agent({ connections: 256 });
  createServer((incoming, response) => {
    const headers = { ...incoming.headers, authorization: 'Bearer constant', host: undefined, connection: undefined };
    agent.dispatch(
      {
        origin: upstream,
        path: incoming.url ?? '/',
        method: incoming.method ?? 'GET',
        headers: JSON.parse(JSON.stringify(headers)) as Record<string, string>,
        body: incoming.method === 'GET' ? null : incoming,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, answered) {
          response.writeHead(status, answered);
        },
        onResponseData(controller, chunk) {
          if (response.write(chunk)) return;
          controller.pause();
          response.once('drain', () => controller.resume());
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          response.destroy();
        },
      },
    );
  }).listen(port, '127.0.0.1');
}

interface Subject {
  readonly name: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly rates: number[];
  readonly p50: number[];
  readonly p99: number[];
  readonly single: number[];
}

async function main(): Promise<void> {
  const children: ChildProcess[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'nango-bench-'));
  try {
    const upstream = await startRole('upstream', children);
    const bare = await startRole('bare', children, upstream);
    const nango = await startNango(folder, upstream, children);
    const headers = { authorization: `Bearer ${SECRET_KEY}`, 'nango-integration': 'acme', 'nango-user-id': '1' };
    const subject = (name: string, url: string): Subject => ({
      name,
      url,
      headers,
      rates: [],
      p50: [],
      p99: [],
      single: [],
    });
    const subjects = [subject('bare node:http and undici', bare), subject('nango', `${nango}/proxy/v1/items`)];
    for (const { url, headers } of subjects) await load(url, headers, { clients: CLIENTS, seconds: 2 });
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const one of subjects) {
        const many = await load(one.url, one.headers, { clients: CLIENTS, seconds: Number(values.seconds) });
        one.rates.push(many.rate);
        one.p50.push(many.p50);
        one.p99.push(many.p99);
        one.single.push((await load(one.url, one.headers, { clients: 1, seconds: 1 })).p50);
      }
    }
    print(subjects);
  } finally {
    // Not at once: a profile is written at the end.
    for (const child of children) child.kill('SIGTERM');
    for (const child of children) if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

function print(subjects: readonly Subject[]): void {
  const [bare, ours] = subjects;
  if (!bare || !ours) return;
  for (const { name, rates, p50, p99, single } of subjects)
    process.stdout.write(
      `${name.padEnd(28)} ${median(rates).toFixed(0).padStart(6)} /s   p50 ${median(p50).toFixed(2)} ms   p99 ${median(p99).toFixed(2)} ms   one client p50 ${median(single).toFixed(3)} ms\n`,
    );
  const rate = median(ours.rates) / median(bare.rates);
  const tail = median(ours.p99) / median(bare.p99);
  const added = median(ours.single) - median(bare.single);
  process.stdout.write(
    `requests a second ${rate.toFixed(2)} × bare (bar 0.80)   p99 ${tail.toFixed(2)} × (bar 1.50)   added at one client ${added.toFixed(3)} ms (bar 0.150)\n`,
  );
  process.exitCode = rate >= 0.8 && tail <= 1.5 && added <= 0.15 ? 0 : 1;
}

async function load(
  url: string,
  headers: Record<string, string>,
  { clients, seconds }: { clients: number; seconds: number },
): Promise<{ rate: number; p50: number; p99: number }> {
  const dispatcher = new Agent({ connections: clients });
  const taken: number[] = [];
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) {
        const sent = performance.now();
        const { statusCode, body } = await request(url, { headers, dispatcher });
        await body.arrayBuffer();
        if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}`);
        taken.push(performance.now() - sent);
      }
    }),
  );
  await dispatcher.close();
  const sorted = taken.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  return { rate: taken.length / ((performance.now() - started) / 1000), p50: at(0.5), p99: at(0.99) };
}

async function startRole(role: string, children: ChildProcess[], upstream = ''): Promise<string> {
  const port = await freePort();
  const child = fork(import.meta.filename, ['--role', role, '--port', String(port), '--upstream', upstream]);
  children.push(child);
  const url = `http://127.0.0.1:${port}`;
  await untilAnswers(role === 'bare' ? `${url}/` : url);
  return url;
}

async function startNango(folder: string, upstream: string, children: ChildProcess[]): Promise<string> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  mkdirSync(join(folder, 'nango-integrations'));
  writeFileSync(
    join(folder, 'nango-integrations/integrations.yaml'),
    `integrations:\n  acme:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: '${upstream}/', headers: { Authorization: 'Bearer \${api_key}' } }\n`,
  );
  const profile = process.env['NANGO_BENCH_PROFILE'];
  const child = spawn(
    process.execPath,
    [
      ...(profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : []),
      join(import.meta.dirname, '../packages/server/bin/nango.js'),
      'start',
      '--folder',
      join(folder, 'nango-integrations'),
      '--port',
      String(port),
    ],
    { env: { ...process.env, NANGO_SECRET_KEY: SECRET_KEY }, stdio: 'ignore' },
  );
  children.push(child);
  await untilAnswers(`${url}/health`);
  const registered = await fetch(`${url}/api/connections`, {
    method: 'POST',
    headers: { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ integration: 'acme', userId: '1', credentials: { api_key: 'k' } }),
  });
  if (registered.status !== 201) throw new Error(await registered.text());
  return url;
}

async function untilAnswers(url: string): Promise<void> {
  for (;;) {
    const probe = httpRequest(url);
    probe.end();
    const answered = await once(probe, 'response').then(
      ([response]) => ((response as { resume(): void }).resume(), true),
      () => false,
    );
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

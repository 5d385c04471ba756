import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pickPort } from '../examples/quickstart/ports.ts';
import { placeOf } from '../packages/server/src/connections/sealed-credentials.ts';
import { openSqliteStore } from '../packages/server/src/store/sqlite.ts';
import { sealJson } from '../packages/server/src/vault/sealed-json.ts';
import { Secret } from '../packages/server/src/vault/secret.ts';
import { createVault } from '../packages/server/src/vault/vault.ts';

// Measures the time to the first response, and the idle memory, with the embedded store and 1,000 connections.
// The baseline is a bare node:http server in its own process. The runs alternate, and the medians are shown.
const CONNECTIONS = 1_000;
const RUNS = 9;
const IDLE_MS = 3_000;
const MAX_START_MS = 1_000;
const MAX_IDLE_MB = 120;

interface Measured {
  readonly startMs: number;
  readonly rssMb: number | undefined;
}

const root = mkdtempSync(join(tmpdir(), 'nango-bench-'));
const port = await pickPort(0);
const key = Buffer.alloc(32, 1);
await seed();

const baseline = `require('node:http').createServer((_, response) => response.end('ok')).listen(${port}, 'localhost')`;
const cli = join(import.meta.dirname, '../packages/server/bin/nango.js');
const results: Record<'nango' | 'baseline', Measured[]> = { nango: [], baseline: [] };
try {
  for (let run = 0; run < RUNS; run += 1) {
    results.baseline.push(await measure(['-e', baseline]));
    results.nango.push(await measure([cli, 'start', '--folder', join(root, 'nango-integrations')]));
  }
} finally {
  rmSync(root, { recursive: true });
}
report();

async function seed(): Promise<void> {
  const folder = join(root, 'nango-integrations');
  mkdirSync(folder);
  const names = ['slack', 'github', 'google', 'hubspot', 'notion', 'stripe', 'salesforce', 'xero', 'twitter', 'trello'];
  const integration = (name: string) =>
    `  ${name}: { extends_blueprint: ${name}, oauth_client_id: id, oauth_client_secret: secret, oauth_scopes: [a] }\n`;
  writeFileSync(join(folder, 'integrations.yaml'), `integrations:\n${names.map(integration).join('')}`);
  writeFileSync(
    join(folder, 'nango-config.yaml'),
    `oauth_server_port: ${port}\noauth_server_root_url: http://localhost:${port}\n`,
  );
  const store = openSqliteStore(join(root, '.nango/nango.db'));
  const vault = createVault(new Secret(key));
  await store.migrate();
  for (let index = 0; index < CONNECTIONS; index += 1) {
    const identity = { integration: 'slack', userId: String(index), account: 'default', id: randomUUID() };
    await store.insertConnection({
      ...identity,
      authMode: 'OAUTH2',
      seal: () => sealJson(vault, { access_token: 'x'.repeat(800), raw: {} }, placeOf(identity)),
      additionalConfig: null,
      tags: null,
      expiresAt: null,
      dueAt: null,
      now: Date.now(),
    });
  }
  await store.close();
}

async function measure(parameters: string[]): Promise<Measured> {
  const started = performance.now();
  const env = { ...process.env, NANGO_ENCRYPTION_KEY: key.toString('hex'), NANGO_SECRET_KEY: 'bench' };
  const child = spawn(process.execPath, parameters, { stdio: 'ignore', env });
  await untilReady(child);
  const startMs = performance.now() - started;
  await delay(IDLE_MS);
  const rssMb = readRss(child);
  child.kill('SIGKILL');
  await once(child, 'exit');
  return { startMs, rssMb };
}

async function untilReady(child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const response = await fetch(`http://localhost:${port}/health`).catch(() => undefined);
    if (response?.ok) return;
    await delay(2);
  }
  throw new Error('The server stopped while it was starting.');
}

/** Resident memory in MB, or undefined if the system does not report it. */
function readRss(child: ChildProcess): number | undefined {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

function report(): void {
  const start = {
    nango: median(results.nango.map((run) => run.startMs)),
    baseline: median(results.baseline.map((run) => run.startMs)),
  };
  const memory = {
    nango: median(results.nango.flatMap((run) => run.rssMb ?? [])),
    baseline: median(results.baseline.flatMap((run) => run.rssMb ?? [])),
  };
  const line = (name: string, { nango, baseline: bare }: typeof start, { unit, bar }: { unit: string; bar: number }) =>
    `${name.padEnd(24)} nango ${nango.toFixed(0).padStart(4)} ${unit}` +
    `   bare node:http ${bare.toFixed(0).padStart(4)} ${unit}   ratio ${(nango / bare).toFixed(2)}` +
    `   bar < ${bar} ${unit}: ${nango < bar ? 'met' : 'MISSED'}\n`;
  process.stdout.write(`${RUNS} runs each, alternating, medians; ${CONNECTIONS} connections, 10 integrations\n`);
  process.stdout.write(line('cold start to ready', start, { unit: 'ms', bar: MAX_START_MS }));
  process.stdout.write(line('idle memory (RSS)', memory, { unit: 'MB', bar: MAX_IDLE_MB }));
  if (start.nango >= MAX_START_MS || memory.nango >= MAX_IDLE_MB) process.exitCode = 1;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

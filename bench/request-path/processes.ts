import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openPostgresStore } from '../../packages/server/src/store/postgres.ts';
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts';
import type { Store } from '../../packages/server/src/store/store.ts';
import { placeOf } from '../../packages/server/src/connections/sealed-credentials.ts';
import { sealJson } from '../../packages/server/src/vault/sealed-json.ts';
import { Secret } from '../../packages/server/src/vault/secret.ts';
import { createVault } from '../../packages/server/src/vault/vault.ts';
import { freePort } from '../../test/support/free-port.ts';
import type { Load, Measured } from './load.ts';

export const SECRET_KEY = 'bench-secret-key-0123';
const ENCRYPTION_KEY = Buffer.alloc(32, 1);
const NOW = Date.now();

/** Servers run on the first core. Callers, the API and the database run on the second. */
const SERVER_CORE = '0';
const OTHER_CORE = '1';

/** Whether processes are pinned to cores. Without `taskset` the figures are less reliable. */
export const PINNED = hasCommand('taskset') && availableParallelism() >= 2;

export function hasCommand(name: string): boolean {
  try {
    execFileSync('which', [name], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const TLS = join(import.meta.dirname, '../../test/fixtures/tls');
const CONSTANT_RESPONSE = `default_type application/json; return 200 '{"text":"${'x'.repeat(189)}"}';`;
const WRK = hasCommand('wrk');

/** A server under measurement. */
export interface Running {
  readonly url: string;
  /** Resident memory of the process in bytes, or undefined if the system does not report it. */
  rss(): number | undefined;
  /** Processor time of the process so far in microseconds, or undefined if the system does not report it. */
  processorUs(): number | undefined;
}

interface Nginx {
  readonly core: string;
  /** Directives before the `server` block. */
  readonly upstreams: string;
  readonly location: string;
  /** Parameters of `listen`. */
  readonly listen?: string;
}

/** Starts processes, and ends all of them. */
export class Processes {
  readonly folder = mkdtempSync(join(tmpdir(), 'nango-bench-'));
  readonly #children: ChildProcess[] = [];
  #folders = 0;

  /** Starts one of the servers in `subjects.ts`. */
  async subject(name: string, { upstream = '', core = SERVER_CORE } = {}): Promise<Running> {
    const port = await freePort();
    const child = this.#spawn(core, [
      process.execPath,
      ...profiling(),
      join(import.meta.dirname, 'subjects.ts'),
      name,
      String(port),
      upstream,
    ]);
    return this.#responding(child, `http://127.0.0.1:${port}`);
  }

  /** Starts the API, on the callers' core. It is nginx if that is installed, because nginx uses less of the core. */
  api(name: 'api' | 'bytes'): Promise<Running> {
    if (name === 'bytes' || !hasCommand('nginx')) return this.subject(name, { core: OTHER_CORE });
    return this.#nginx({ core: OTHER_CORE, upstreams: '', location: CONSTANT_RESPONSE });
  }

  /** Starts an API that supports HTTP/2. Resolves to undefined if nginx is missing. */
  async http2Api(): Promise<{ readonly url: string; readonly authority: string } | undefined> {
    if (!hasCommand('nginx')) return undefined;
    const { url } = await this.#nginx({
      core: OTHER_CORE,
      upstreams: `ssl_certificate ${TLS}/server.crt; ssl_certificate_key ${TLS}/server.key;`,
      location: CONSTANT_RESPONSE,
      listen: 'ssl http2',
    });
    return { url: `https://localhost:${new URL(url).port}`, authority: `${TLS}/server.crt` };
  }

  /** Starts Nango with connections of the integration `acme` for the users "0", "1", … */
  async nango({
    upstream,
    connections = 1,
    cacheSize = 10_000,
    databaseUrl,
    workers = 1,
    cores = SERVER_CORE,
    sharesSockets = false,
    authority,
  }: {
    upstream: string;
    connections?: number;
    cacheSize?: number;
    databaseUrl?: string;
    workers?: number;
    cores?: string;
    sharesSockets?: boolean;
    /** The file of a certificate that the server trusts. */
    authority?: string;
  }): Promise<Running> {
    const port = await freePort();
    const root = join(this.folder, String((this.#folders += 1)));
    const folder = join(root, 'nango-integrations');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'integrations.yaml'),
      `integrations:
  acme:
    share_sockets: ${sharesSockets}
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${upstream}/', headers: { Authorization: 'Bearer \${api_key}' } }
`,
    );
    writeFileSync(join(folder, 'nango-config.yaml'), `connection_cache_size: ${cacheSize}\n`);
    const store = databaseUrl
      ? openPostgresStore(new Secret(databaseUrl))
      : openSqliteStore(join(root, '.nango/nango.db'));
    await seed(store, connections);
    await store.close();
    const child = this.#spawn(
      cores,
      [
        process.execPath,
        ...profiling(),
        join(import.meta.dirname, '../../packages/server/bin/nango.js'),
        'start',
        '--folder',
        folder,
        '--port',
        String(port),
        ...(workers > 1 ? ['--workers', String(workers)] : []),
      ],
      {
        environment: {
          NANGO_SECRET_KEY: SECRET_KEY,
          NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY.toString('base64'),
          ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}),
          ...(authority ? { NODE_EXTRA_CA_CERTS: authority } : {}),
        },
      },
    );
    return this.#responding(child, `http://localhost:${port}`, '/health');
  }

  /** Starts nginx with one worker, as a reference in C. */
  nginx(upstream: string): Promise<Running> {
    return this.#nginx({
      core: SERVER_CORE,
      upstreams: `upstream api { server ${new URL(upstream).host}; keepalive 256; }`,
      location:
        'proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization "Bearer constant";',
    });
  }

  async #nginx({ core, upstreams, location, listen = '' }: Nginx): Promise<Running> {
    const port = await freePort();
    const file = join(this.folder, `nginx-${port}.conf`);
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${join(this.folder, `nginx-${port}.pid`)}; error_log /dev/null;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; ${upstreams}
  server { listen 127.0.0.1:${port} ${listen}; location / { ${location} } }
}
`,
    );
    return this.#responding(this.#spawn(core, ['nginx', '-c', file]), `http://127.0.0.1:${port}`);
  }

  /** Sends requests from a separate process. It uses wrk if that is installed, else `load.ts`. */
  async load(load: Load): Promise<Measured> {
    const command = WRK
      ? this.#wrk(load)
      : [process.execPath, join(import.meta.dirname, 'load.ts'), JSON.stringify(load)];
    const child = this.#spawn(OTHER_CORE, command, { stdout: 'pipe' });
    let output = '';
    child.stdout?.on('data', (chunk) => (output += String(chunk)));
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error('The load generator failed.');
    return WRK ? parseWrk(output) : (JSON.parse(output) as Measured);
  }

  #wrk({ url, headers, clients, seconds, users, inOrder }: Load): string[] {
    const script = join(this.folder, 'load.lua');
    const fields = Object.entries(headers).filter(([, value]) => !value.includes('{n}'));
    const varied = Object.entries(headers).find(([, value]) => value.includes('{n}'))?.[0];
    const pick = inOrder ? `n = (n + 1) % ${users}` : `n = math.random(0, ${(users ?? 1) - 1})`;
    const vary = `n = 0
function request()
 ${pick}
 wrk.headers["${varied}"] = n
 return wrk.format()
end
function init() math.randomseed(os.time()) end
`;
    writeFileSync(script, varied ? vary : '');
    const flags = fields.flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    return ['wrk', '-t1', `-c${clients}`, `-d${seconds}s`, '--latency', '-s', script, ...flags, url];
  }

  async end(): Promise<void> {
    // SIGTERM lets each process write its profile before it ends.
    for (const child of this.#children) child.kill('SIGTERM');
    for (const child of this.#children)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(
    core: string,
    command: readonly string[],
    { environment = {}, stdout = 'ignore' }: { environment?: Record<string, string>; stdout?: 'ignore' | 'pipe' } = {},
  ): ChildProcess {
    const [program = '', ...rest] = PINNED ? ['taskset', '-c', core, ...command] : command;
    const child = spawn(program, rest, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', stdout, stdout === 'pipe' ? 'inherit' : 'ignore'],
    });
    this.#children.push(child);
    return child;
  }

  async #responding(child: ChildProcess, url: string, path = '/1'): Promise<Running> {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`);
      const probe = request(url + path).end();
      const answered = await once(probe, 'response').then(
        ([response]) => ((response as { resume(): void }).resume(), true),
        () => false,
      );
      if (answered) return { url, rss: () => rssOf(child.pid), processorUs: () => processorUsOf(child.pid) };
      await delay(20);
    }
  }
}

function parseWrk(output: string): Measured {
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1];
  if (failed !== undefined) throw new Error(`${failed} unexpected responses.`);
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    p50: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(output)),
    p99: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(output)),
  };
}

function milliseconds(match: RegExpExecArray | null): number {
  const factor = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? 'ms'] ?? Number.NaN;
  return Number(match?.[1]) * factor;
}

/** With `NANGO_BENCH_PROFILE=<folder>`, each process writes a profile there. */
function profiling(): string[] {
  const folder = process.env['NANGO_BENCH_PROFILE'];
  return folder ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : [];
}

async function seed(store: Store, connections: number): Promise<void> {
  await store.migrate();
  const vault = createVault(new Secret(ENCRYPTION_KEY));
  const step = 500;
  for (let first = 0; first < connections; first += step) {
    const rows = Array.from({ length: Math.min(step, connections - first) }, (_, index) => {
      const key = { integration: 'acme', userId: String(first + index), account: 'default' };
      return {
        ...key,
        id: crypto.randomUUID(),
        authMode: 'API_KEY',
        seal: (id: string) => sealJson(vault, { api_key: `key-of-${key.userId}`, raw: {} }, placeOf({ ...key, id })),
        additionalConfig: '{}',
        tags: '{}',
        status: 'active' as const,
        statusReason: null,
        expiresAt: null,
        dueAt: null,
        createdAt: NOW,
        updatedAt: NOW,
      };
    });
    await store.importConnections(rows, { replace: false });
  }
}

// Linux counts processor time in hundredths of a second, for programs of every architecture.
const TICK_US = 10_000;

/** User and system time of all threads (proc_pid_stat(5), fields 14 and 15). */
function processorUsOf(pid: number | undefined): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13);
    return (Number(user) + Number(system)) * TICK_US;
  } catch {
    return undefined;
  }
}

function rssOf(pid: number | undefined): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  } catch {
    return undefined;
  }
}

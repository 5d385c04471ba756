import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';
import { startApp } from './app.ts';
import { runCheck } from './check.ts';
import { pickPort } from './ports.ts';
import { startSandboxProvider } from './sandbox-provider.ts';

const START_TIMEOUT_MS = 20_000;
const HELP = `Starts Nango with a sample application and a sandbox provider.

  npm start             run until Ctrl-C
  npm start -- --check  walk through the whole flow, print each step, exit 0 or 1`;

/** The three parts of the quickstart, running. */
interface Quickstart {
  /** One sentence for each part that does not run on its preferred port. */
  readonly notices: readonly string[];
  readonly appUrl: string;
  readonly nangoUrl: string;
  /** The server's log. It is empty if the server prints it. */
  serverLog(): string;
  close(): Promise<void>;
}

interface QuickstartOptions {
  readonly ports: { readonly nango: number; readonly app: number; readonly sandbox: number };
  readonly dataDirectory: string;
  /** Whether the server's log is printed. */
  readonly quiet: boolean;
}

async function startQuickstart({ ports: preferred, dataDirectory, quiet }: QuickstartOptions): Promise<Quickstart> {
  const [nangoPort, appPort, sandboxPort] = [
    await pickPort(preferred.nango),
    await pickPort(preferred.app),
    await pickPort(preferred.sandbox),
  ];
  const notices = [
    { part: 'Nango', wanted: preferred.nango, taken: nangoPort },
    { part: 'The application', wanted: preferred.app, taken: appPort },
    { part: 'The sandbox provider', wanted: preferred.sandbox, taken: sandboxPort },
  ]
    .filter(({ wanted, taken }) => wanted !== 0 && wanted !== taken)
    .map(({ part, wanted, taken }) => `Port ${wanted} is in use. ${part} runs on ${taken} instead.`);
  const nangoUrl = `http://localhost:${nangoPort}`;
  const clientSecret = randomBytes(32).toString('base64url');
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const sandbox = await startSandboxProvider({
    port: sandboxPort,
    clientSecret,
    redirectUri: `${nangoUrl}/oauth/callback`,
    file: join(dataDirectory, 'sandbox.json'),
  });
  const server = spawnServer({
    quiet,
    dataDirectory,
    environment: {
      QUICKSTART_NANGO_PORT: String(nangoPort),
      SANDBOX_PORT: String(sandboxPort),
      SANDBOX_CLIENT_SECRET: clientSecret,
    },
  });
  const closeServer = () => stop(server);
  let serverLog = '';
  server.stderr?.on('data', (chunk: Buffer) => (serverLog += chunk.toString()));
  try {
    await waitUntilReady(nangoUrl, server);
    const secretKey = (await readFile(join(dataDirectory, 'secret.key'), 'utf8')).trim();
    const app = await startApp({ port: appPort, serverUrl: nangoUrl, secretKey });
    const close = async () => void (await Promise.all([app.close(), closeServer(), sandbox.close()]));
    return { notices, appUrl: `http://localhost:${appPort}`, nangoUrl, serverLog: () => serverLog, close };
  } catch (error) {
    await Promise.all([closeServer(), sandbox.close()]);
    process.stderr.write(serverLog);
    throw error;
  }
}

interface ServerProcess {
  readonly quiet: boolean;
  readonly dataDirectory: string;
  readonly environment: Record<string, string>;
}

/** Runs `nango start` in a separate process, as a user would. */
function spawnServer({ quiet, dataDirectory, environment }: ServerProcess): ChildProcess {
  const cli = join(dirname(createRequire(import.meta.url).resolve('@nangohq/server/package.json')), 'bin/nango.js');
  const folder = join(import.meta.dirname, 'nango-integrations');
  // The quickstart always uses its own embedded store and keys, even if the shell has settings for a real server.
  const { DATABASE_URL: _url, NANGO_SECRET_KEY: _secret, NANGO_ENCRYPTION_KEY: _key, ...inherited } = process.env;
  return spawn(process.execPath, [cli, 'start', '--folder', folder, '--data-dir', dataDirectory], {
    env: { ...inherited, ...environment },
    stdio: ['ignore', 'inherit', quiet ? 'pipe' : 'inherit'],
  });
}

async function waitUntilReady(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && server.exitCode === null) {
    const response = await fetch(`${url}/health`).catch(() => undefined);
    if (response?.ok) return;
    await delay(50);
  }
  throw new Error(
    server.exitCode === null
      ? `The server did not become ready within ${START_TIMEOUT_MS / 1000} s.`
      : 'The server stopped while it was starting. Its message is above.',
  );
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  await ended;
}

async function serve(): Promise<void> {
  const quickstart = await startQuickstart({
    ports: { nango: 3003, app: 3000, sandbox: 3004 },
    dataDirectory: join(import.meta.dirname, '.nango'),
    quiet: false,
  });
  const bold = (text: string) => styleText(['bold', 'cyan'], text, { stream: process.stdout });
  for (const notice of quickstart.notices)
    process.stdout.write(`${styleText('yellow', '!', { stream: process.stdout })} ${notice}\n`);
  process.stdout.write(`\n  Open ${bold(quickstart.appUrl)} and click Connect.\n  Stop with Ctrl-C.\n\n`);
  const close = () => void quickstart.close().then(() => process.exit(0));
  process.once('SIGINT', close);
  process.once('SIGTERM', close);
}

async function check(): Promise<void> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'nango-check-'));
  try {
    const quickstart = await startQuickstart({ ports: { nango: 0, app: 0, sandbox: 0 }, dataDirectory, quiet: true });
    try {
      process.exitCode = await runCheck(quickstart);
      if (process.exitCode !== 0) process.stderr.write(`\nThe server’s log:\n${quickstart.serverLog()}`);
    } finally {
      await quickstart.close();
    }
  } finally {
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

const flags = process.argv.slice(2);
const unknown = flags.find((flag) => !['--check', '--help', '-h'].includes(flag));
try {
  if (unknown !== undefined) throw new Error(`Unknown flag ${unknown}.\n\n${HELP}`);
  if (flags.includes('--help') || flags.includes('-h')) process.stdout.write(`${HELP}\n`);
  else await (flags.includes('--check') ? check() : serve());
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${styleText('red', '✗', { stream: process.stderr })} ${message}\n`);
  process.exitCode = unknown === undefined ? 1 : 2;
}

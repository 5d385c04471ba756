import type { FastifyBaseLogger } from 'fastify';
import { readSettings } from '../../config/settings.ts';
import { createLog } from '../../observability/log.ts';
import { LineFile } from '../../observability/line-file.ts';
import { VERSION } from '../../package-files.ts';
import { startServer } from '../../start.ts';
import { createPrettyLog } from '../pretty-log.ts';
import type { Terminal } from '../terminal.ts';
import { gatherMetrics, isWorker, disconnectFromParent, reportReady, Workers, type Ready } from '../workers.ts';

// Time in which requests in flight may finish before the process ends.
const FAULT_STOP_MS = 10_000;

/** Flags of `nango start`. */
export interface StartFlags {
  readonly folder?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: number;
  readonly workers?: number;
  readonly envFile?: readonly string[];
}

/** `nango start`: runs until SIGINT or SIGTERM. Logs to stderr: JSON lines, or coloured lines on a terminal. */
export async function startCommand(flags: StartFlags, terminal: Terminal): Promise<void> {
  const log = createLog('info', terminal.interactive ? createPrettyLog(process.stderr) : createJsonDestination());
  if ((flags.workers ?? 1) > 1 && !isWorker()) return startWorkers(flags.workers ?? 1, { terminal, log });
  const settings = readSettings({
    ...flags,
    dataDirectory: flags.dataDir,
  });
  const server = await startServer({ settings, log, ...(isWorker() ? { gatherMetrics } : {}) }).catch(
    (error: unknown) => {
      disconnectFromParent();
      throw error;
    },
  );
  if (isWorker()) reportReady(server);
  else reportReadyServer(server, { terminal, log });
  const close = () => server.close().then(() => true);
  stopOnSignal(close, log);
  stopOnFault(close, log);
}

interface Output {
  readonly terminal: Terminal;
  readonly log: FastifyBaseLogger;
}

async function startWorkers(count: number, { terminal, log }: Output): Promise<void> {
  const workers = new Workers(count, log);
  stopOnSignal(() => workers.stop(), log);
  const ready = await workers.start();
  // If there is no server, the worker has printed the reason.
  if (ready) reportReadyServer(ready, { terminal, log }, count);
  else process.exitCode = 1;
}

function reportReadyServer(server: Ready, { terminal, log }: Output, workers?: number): void {
  const { port, callbackUrl, storeDescription: store, integrations } = server;
  if (terminal.interactive) printBanner(server, terminal, workers);
  else log.info({ version: VERSION, port, callbackUrl, store, integrations, workers }, 'Nango is ready');
  for (const notice of server.notices) terminal.err(terminal.style('yellow', `! ${notice}`));
}

/** Creates the destination of JSON lines. The last lines are written before the process ends. */
function createJsonDestination(): LineFile {
  const stderr = new LineFile({
    fd: 2,
    gap: (lines) =>
      `${JSON.stringify({ level: 'error', time: new Date().toISOString(), lines, msg: 'lines are missing here' })}\n`,
  });
  process.once('exit', () => stderr.close());
  return stderr;
}

function printBanner(
  { port, callbackUrl, storeDescription, integrations }: Ready,
  terminal: Terminal,
  workers: number | undefined,
): void {
  const err = (text: string) => terminal.err(text);
  const style: Terminal['style'] = (name, text) => terminal.style(name, text);
  err('');
  err(
    `  ${style(['bold', 'green'], 'Nango')} ${style('gray', VERSION)} is ready on port ${style('bold', String(port))}`,
  );
  err('');
  err(`  Callback URL   ${style('cyan', callbackUrl)}  ${style('gray', '(register it at each provider)')}`);
  err(`  Integrations   ${integrations.join(', ') || 'none yet'}`);
  err(`  Store          ${storeDescription}`);
  if (workers !== undefined) err(`  Workers        ${workers}`);
  err('');
}

/**
 * Stops the server after an error outside of every handler. Such an error is a defect, and the state of the process is
 * unknown, so a supervisor should start another process.
 */
function stopOnFault(stop: () => Promise<unknown>, log: FastifyBaseLogger): void {
  const end = async () => {
    await stop().catch(() => undefined);
    process.exit(1);
  };
  process.once('uncaughtException', (err) => {
    log.fatal({ err }, 'an error outside of every handler: the server ends');
    setTimeout(() => process.exit(1), FAULT_STOP_MS).unref();
    void end();
  });
}

/** `stop` resolves to whether everything ended cleanly. */
function stopOnSignal(stop: () => Promise<boolean>, log: FastifyBaseLogger): void {
  let stopping = false;
  const onSignal = (signal: string) => {
    // A second signal ends the process at once.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    stop().then(
      (clean) => process.exit(clean ? 0 : 1),
      (error: unknown) => {
        log.error({ err: error }, 'the server did not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  // A terminal sends SIGINT to workers, too. They wait for the parent process, or for its end.
  if (isWorker()) process.on('SIGINT', () => undefined).once('disconnect', () => onSignal('disconnect'));
  else process.on('SIGINT', onSignal);
}

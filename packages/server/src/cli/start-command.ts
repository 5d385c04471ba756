import type { FastifyBaseLogger } from 'fastify';
import { readSettings } from '../config/settings.ts';
import { createLog } from '../log.ts';
import { VERSION } from '../package-files.ts';
import { startServer, type RunningServer } from '../start.ts';
import { createPrettyLog } from './pretty-log.ts';
import type { Terminal } from './terminal.ts';

export interface StartFlags {
  readonly folder?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: number;
}

/** `nango start`: runs until SIGINT or SIGTERM. Logs go to stderr: JSON lines, or coloured ones on a terminal. */
export async function startCommand(flags: StartFlags, terminal: Terminal): Promise<void> {
  const settings = readSettings({
    folder: flags.folder,
    dataDirectory: flags.dataDir,
    host: flags.host,
    port: flags.port,
  });
  const log = createLog('info', terminal.interactive ? createPrettyLog(process.stderr) : process.stderr);
  const server = await startServer({ settings, log });
  if (terminal.interactive) printBanner(server, terminal);
  else
    log.info(
      {
        version: VERSION,
        port: server.port,
        callbackUrl: server.callbackUrl,
        store: server.storeDescription,
        integrations: server.integrations,
      },
      'Nango is ready',
    );
  for (const notice of server.notices) terminal.err(terminal.style('yellow', `! ${notice}`));
  stopOnSignal(server, log);
}

function printBanner({ port, callbackUrl, storeDescription, integrations }: RunningServer, terminal: Terminal): void {
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
  err('');
}

function stopOnSignal(server: RunningServer, log: FastifyBaseLogger): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    // A second signal means the person has no patience left.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'the server did not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

#!/usr/bin/env node
import { Command } from 'commander';
import { ConfigError } from '../config/config-fault.ts';
import { messageOf } from '../errors/nango-error.ts';
import { VERSION } from '../package-files.ts';
import { connectCommand, type ConnectFlags } from './connect-command.ts';
import { deleteConnection, listConnections, showConnection, type ConnectionsFlags } from './connections-command.ts';
import { initCommand } from './init-command.ts';
import { startCommand, type StartFlags } from './start-command.ts';
import { createTerminal, type Terminal } from './terminal.ts';
import { triggerCommand, type TriggerFlags } from './trigger-command.ts';
import { validateCommand, type ValidateFlags } from './validate-command.ts';

const ENVIRONMENT = `
Environment:
  NANGO_FOLDER          the Nango folder (default: ./nango-integrations)
  NANGO_DATA_DIR        embedded store and keys (default: .nango beside the Nango folder)
  DATABASE_URL          PostgreSQL in place of the embedded store
  NANGO_ENCRYPTION_KEY  32 bytes, base64 or hex; made on first start with the embedded store
  NANGO_SECRET_KEY      the key your back end sends; made on first start with the embedded store
  NANGO_SERVER_URL      where the server runs, for commands that talk to it
  NANGO_HOST            address to listen on

Exit codes: 0 done, 1 failed, 2 wrong usage`;

function createProgram(terminal: Terminal): Command {
  const program = new Command('nango')
    .description('Connects your users to other companies’ APIs: OAuth, token refresh and authorized requests.')
    .version(VERSION, '-v, --version')
    // Set before any subcommand is made, since those inherit it.
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .showSuggestionAfterError()
    .showHelpAfterError('(nango --help shows the commands)')
    .addHelpText('after', ENVIRONMENT)
    .configureOutput({ outputError: (text, write) => write(terminal.style('red', text)) });
  const folder = ['-f, --folder <path>', 'the Nango folder'] as const;
  const dataDir = ['--data-dir <path>', 'folder of the embedded store and the keys'] as const;
  const server = ['-s, --server <url>', 'where the server runs'] as const;
  const json = ['--json', 'print JSON'] as const;

  program
    .command('init')
    .description('create the Nango folder with an example')
    .option(...folder)
    .action((flags: { folder?: string }) => initCommand(flags, terminal));

  program
    .command('start')
    .description('start the server')
    .option(...folder)
    .option(...dataDir)
    .option('-p, --port <port>', 'port to listen on, in place of oauth_server_port')
    .option('--host <address>', 'address to listen on')
    .action((flags: StartFlags) => startCommand(flags, terminal));

  program
    .command('validate')
    .description('check both YAML files and list every fault')
    .option(...folder)
    .option(...json)
    .action(async (flags: ValidateFlags) => void (process.exitCode = await validateCommand(flags, terminal)));

  const client = (command: Command) =>
    command
      .option(...folder)
      .option(...dataDir)
      .option(...server);
  const connections = program.command('connections').description('list, show or delete connections');
  client(connections.command('list'))
    .description('list connections')
    .option('-u, --user <userId>', 'only of this user')
    .option('-i, --integration <name>', 'only to this integration')
    .option(...json)
    .action((flags: ConnectionsFlags) => listConnections(flags, terminal));
  client(connections.command('show'))
    .description('show one connection')
    .argument('<integration>')
    .argument('<userId>')
    .option('--show-secrets', 'print the credentials too')
    .option(...json)
    .action((integration: string, userId: string, flags: ConnectionsFlags) =>
      showConnection(integration, userId, { flags, terminal }),
    );
  client(connections.command('delete'))
    .description('delete one connection and its credentials')
    .argument('<integration>')
    .argument('<userId>')
    .option(...json)
    .action((integration: string, userId: string, flags: ConnectionsFlags) =>
      deleteConnection(integration, userId, { flags, terminal }),
    );

  client(program.command('connect'))
    .description('connect an account: opens the browser, or prints the address')
    .argument('<integration>')
    .argument('<userId>')
    .option('--no-browser', 'only print the address')
    .option(...json)
    .addHelpText('after', '\nExample:\n  nango connect slack 1')
    .action(
      async (integration: string, userId: string, flags: ConnectFlags) =>
        void (process.exitCode = await connectCommand(integration, userId, { flags, terminal })),
    );

  client(program.command('trigger'))
    .description('run an Action and print what it returns')
    .argument('<integration>')
    .argument('<action>')
    .argument('<userId>')
    .option('--input <json>', 'the Action’s input; "-" reads it from stdin')
    .addHelpText('after', `\nExample:\n  nango trigger slack notify 1 --input '{"text":"Hello"}'`)
    .action((integration: string, action: string, userId: string, flags: TriggerFlags) =>
      triggerCommand({ integration, action, userId }, { flags, terminal }),
    );

  return program;
}

function fail(error: unknown, terminal: Terminal): void {
  if (error instanceof ConfigError) terminal.err(error.message);
  else terminal.err(`${terminal.style('red', '✗')} ${messageOf(error)}`);
  process.exitCode = 1;
}

const terminal = createTerminal();
await createProgram(terminal)
  .parseAsync()
  .catch((error: unknown) => fail(error, terminal));

import { Command, InvalidArgumentError } from 'commander';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { VERSION } from '../package-files.ts';
import type { ConnectFlags } from './connect-command.ts';
import type { ConnectionsFlags } from './connections-command.ts';
import type { KeysFlags } from './keys-command.ts';
import type { StartFlags } from './start-command.ts';
import { createTerminal, type Terminal } from './terminal.ts';
import type { TriggerFlags } from './trigger-command.ts';
import type { ValidateFlags } from './validate-command.ts';

const ENVIRONMENT = `
Environment:
  NANGO_FOLDER          the Nango folder (default: ./nango-integrations)
  NANGO_DATA_DIR        embedded store and keys (default: .nango beside the Nango folder)
  DATABASE_URL          PostgreSQL in place of the embedded store
  NANGO_ENCRYPTION_KEY  32 bytes, base64 or hex; made on first start with the embedded store; several,
                        separated by commas, all open, and the first seals
  NANGO_SECRET_KEY      the key your back end sends; made on first start with the embedded store
  NANGO_SERVER_URL      where the server runs, for commands that talk to it
  NANGO_HOST            address to listen on

Exit codes: 0 done, 1 failed, 2 wrong usage`;

const FOLDER = ['-f, --folder <path>', 'the Nango folder'] as const;
const DATA_DIR = ['--data-dir <path>', 'folder of the embedded store and the keys'] as const;
const SERVER = ['-s, --server <url>', 'where the server runs'] as const;
const JSON_OUTPUT = ['--json', 'print JSON'] as const;

// Commands are imported when they run, so that none waits for the modules of another.
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
  addFolderCommands(program, terminal);
  addConnectionsCommands(program.command('connections').description('list, show or delete connections'), terminal);
  addConnectCommand(program, terminal);
  addTriggerCommand(program, terminal);
  addKeysCommands(program.command('keys').description('check, add or rotate encryption keys'), terminal);
  return program;
}

function addFolderCommands(program: Command, terminal: Terminal): void {
  program
    .command('init')
    .description('create the Nango folder with an example')
    .option(...FOLDER)
    .action(async (flags: { folder?: string }) => {
      const { initCommand } = await import('./init-command.ts');
      initCommand(flags, terminal);
    });
  program
    .command('start')
    .description('start the server')
    .option(...FOLDER)
    .option(...DATA_DIR)
    .option('-p, --port <port>', 'port to listen on, in place of oauth_server_port', parsePort)
    .option('--host <address>', 'address to listen on')
    .action(async (flags: StartFlags) => {
      const { startCommand } = await import('./start-command.ts');
      await startCommand(flags, terminal);
    });
  program
    .command('validate')
    .description('check both YAML files and list every fault')
    .option(...FOLDER)
    .option(...JSON_OUTPUT)
    .action(async (flags: ValidateFlags) => {
      const { validateCommand } = await import('./validate-command.ts');
      process.exitCode = await validateCommand(flags, terminal);
    });
}

function addConnectionsCommands(connections: Command, terminal: Terminal): void {
  client(connections.command('list'))
    .description('list connections')
    .option('-u, --user <userId>', 'only of this user')
    .option('-i, --integration <name>', 'only to this integration')
    .option(...JSON_OUTPUT)
    .action(async (flags: ConnectionsFlags) => {
      const { listConnections } = await import('./connections-command.ts');
      await listConnections(flags, terminal);
    });
  client(connections.command('show'))
    .description('show one connection')
    .argument('<integration>')
    .argument('<userId>')
    .option('--show-secrets', 'print the credentials too')
    .option(...JSON_OUTPUT)
    .action(async (integration: string, userId: string, flags: ConnectionsFlags) => {
      const { showConnection } = await import('./connections-command.ts');
      await showConnection(integration, userId, { flags, terminal });
    });
  client(connections.command('delete'))
    .description('delete one connection and its credentials')
    .argument('<integration>')
    .argument('<userId>')
    .option('--revoke', 'also revoke the grant at the provider, first')
    .option(...JSON_OUTPUT)
    .action(async (integration: string, userId: string, flags: ConnectionsFlags) => {
      const { deleteConnection } = await import('./connections-command.ts');
      await deleteConnection(integration, userId, { flags, terminal });
    });
}

function addConnectCommand(program: Command, terminal: Terminal): void {
  client(program.command('connect'))
    .description('connect an account: opens the browser, or prints the address')
    .argument('<integration>')
    .argument('<userId>')
    .option('--no-browser', 'only print the address')
    .option('--device', 'show a code to enter on another device, where the provider offers it')
    .option('-c, --config <name=value>', 'a value of additionalConfig; repeat it for more', collectConfig)
    .option('--credentials <file>', 'what the user would type in, as a JSON object; "-" reads it from stdin')
    .option(...JSON_OUTPUT)
    .addHelpText(
      'after',
      `
What an Integration needs and you did not give is asked for, on a terminal.

Examples:
  nango connect slack 1
  nango connect zendesk 1 --config subdomain=acme
  nango connect google-drive robot --credentials service-account.json
  nango connect github 1 --device`,
    )
    .action(async (integration: string, userId: string, flags: ConnectFlags) => {
      const { connectCommand } = await import('./connect-command.ts');
      process.exitCode = await connectCommand(integration, userId, { flags, terminal });
    });
}

function addKeysCommands(keys: Command, terminal: Terminal): void {
  keys.addHelpText(
    'after',
    `
Changing the key, while the server goes on:
  1. nango keys add      (or put a new key in front of NANGO_ENCRYPTION_KEY: "new,old")
  2. start every server again: it seals with the new key and opens with both
  3. nango keys rotate   seals what is stored with the new key
  4. nango keys check    shows that nothing needs the old one; then remove it`,
  );
  const add = (name: string, description: string) =>
    keys
      .command(name)
      .description(description)
      .option(...FOLDER)
      .option(...DATA_DIR)
      .option(...JSON_OUTPUT);
  add('check', 'count what each key seals, and whether all of it opens').action(async (flags: KeysFlags) => {
    const { checkKeysCommand } = await import('./keys-command.ts');
    process.exitCode = await checkKeysCommand(flags, terminal);
  });
  add('add', 'make a new key for the embedded store').action(async (flags: KeysFlags) => {
    const { addKeyCommand } = await import('./keys-command.ts');
    addKeyCommand(flags, terminal);
  });
  add('rotate', 'seal everything with the newest key, while servers go on').action(async (flags: KeysFlags) => {
    const { rotateKeysCommand } = await import('./keys-command.ts');
    process.exitCode = await rotateKeysCommand(flags, terminal);
  });
}

function addTriggerCommand(program: Command, terminal: Terminal): void {
  client(program.command('trigger'))
    .description('run an Action and print what it returns, as JSON')
    .argument('<integration>')
    .argument('<action>')
    .argument('<userId>')
    .option('--input <json>', 'the Action’s input; "-" reads it from stdin')
    .option('--json', 'print on one line')
    .addHelpText('after', `\nExample:\n  nango trigger slack notify 1 --input '{"text":"Hello"}'`)
    .action(async (integration: string, action: string, userId: string, flags: TriggerFlags) => {
      const { triggerCommand } = await import('./trigger-command.ts');
      await triggerCommand({ integration, action, userId }, { flags, terminal });
    });
}

/** The flags of commands that talk to a running server. */
function client(command: Command): Command {
  return command
    .option(...FOLDER)
    .option(...DATA_DIR)
    .option(...SERVER);
}

function collectConfig(pair: string, earlier: Record<string, string> = {}): Record<string, string> {
  const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
  if (name === undefined) throw new InvalidArgumentError('It must be name=value.');
  return { ...earlier, [name]: value };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('It must be a number from 0 to 65535.');
}

function fail(error: unknown, terminal: Terminal): void {
  const isConfig = error instanceof NangoError && error.code === 'invalid_config';
  terminal.err(isConfig ? error.message : `${terminal.style('red', '✗')} ${messageOf(error)}`);
  process.exitCode = 1;
}

const terminal = createTerminal();
await createProgram(terminal)
  .parseAsync()
  .catch((error: unknown) => fail(error, terminal));

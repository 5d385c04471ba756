import { Command, InvalidArgumentError, type CommanderError } from 'commander';
import { VERSION } from '../package-files.ts';
import { addClientCommands } from './commands/client-commands.ts';
import { DATA_DIR, ENV_FILE, FOLDER, JSON_OUTPUT } from './options.ts';
import { addBlueprintCommands } from './commands/blueprint-commands.ts';
import { reportFailure, UsageError, WRONG_USAGE } from './failure.ts';
import type { StartFlags } from './commands/start-command.ts';
import { addStoreCommands } from './commands/store-commands.ts';
import { createTerminal, type Terminal } from './terminal.ts';
import type { ValidateFlags } from './commands/validate-command.ts';

const ENVIRONMENT = `
Environment:
  NANGO_FOLDER          the Nango folder (default: nango-integrations here or in a folder above)
  NANGO_DATA_DIR        embedded store and keys (default: .nango beside the Nango folder)
  DATABASE_URL          PostgreSQL in place of the embedded store
  NANGO_ENCRYPTION_KEY  32 bytes as base64 or hex; with the embedded store, the first start creates the key.
                        Several keys are separated by commas: all keys open values, and the first key seals
  NANGO_ENCRYPTION_KEY_FILE     a file that holds the key
  NANGO_ENCRYPTION_KEY_COMMAND  a command that prints the key, such as a client of a key management service
  NANGO_SECRET_KEY      the key that your back end sends; with the embedded store, the first start creates it
  NANGO_SERVER_URL      where the server runs, for commands that talk to it
  NANGO_HOST            address to listen on
Variables that are not set are read from the files of --env-file, or from .env beside the Nango folder.

Exit codes: 0 done, 1 failed, 2 wrong usage`;

// Each command is imported when it runs, so it does not load the modules of other commands.
function createProgram(terminal: Terminal): Command {
  const program = new Command('nango')
    .description('Connects your users to other companies’ APIs: OAuth, token refresh and authorized requests.')
    .version(VERSION, '-v, --version')
    // Set before any subcommand is created, because subcommands inherit it.
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : wrongUsage(error, terminal)))
    .showSuggestionAfterError()
    .addHelpText('after', ENVIRONMENT)
    .configureOutput({ outputError: (text, write) => write(terminal.style('red', text)) });
  addFolderCommands(program, terminal);
  addBlueprintCommands(
    program.command('blueprints').description('find, add, draft and check Blueprints of providers'),
    terminal,
  );
  addClientCommands(program, terminal);
  addStoreCommands(program, terminal);
  addHelpHint(program, program.name());
  return program;
}

/** Prints the fault as JSON too if any argument is `--json`, because Commander could not parse the arguments. */
function wrongUsage(error: CommanderError, terminal: Terminal): number {
  if (process.argv.includes('--json')) reportFailure(new UsageError(error.message), { terminal, json: true });
  return WRONG_USAGE;
}

/** Adds a hint to errors that names the help of the called command. */
function addHelpHint(command: Command, name: string): void {
  const shows = command.commands.length > 0 ? 'shows the commands' : 'shows its arguments and options';
  command.showHelpAfterError(`(${name} --help ${shows})`);
  for (const sub of command.commands) addHelpHint(sub, `${name} ${sub.name()}`);
}

function addFolderCommands(program: Command, terminal: Terminal): void {
  program
    .command('init')
    .description('create the Nango folder with an example')
    .option(...FOLDER)
    .action(async (flags: { folder?: string }) => {
      const { initCommand } = await import('./commands/init-command.ts');
      initCommand(flags, terminal);
    });
  program
    .command('start')
    .description('start the server')
    .option(...FOLDER)
    .option(...DATA_DIR)
    .option(...ENV_FILE)
    .option('-p, --port <port>', 'port to listen on, in place of oauth_server_port', parsePort)
    .option('--host <address>', 'address to listen on')
    .option('--workers <count>', 'number of server processes on the port; about one for each core', parseWorkers)
    .action(async (flags: StartFlags) => {
      const { startCommand } = await import('./commands/start-command.ts');
      await startCommand(flags, terminal);
    });
  program
    .command('validate')
    .description('check both YAML files and list every fault')
    .option(...FOLDER)
    .option(...ENV_FILE)
    .option(...JSON_OUTPUT)
    .action(async (flags: ValidateFlags) => {
      const { validateCommand } = await import('./commands/validate-command.ts');
      process.exitCode = await validateCommand(flags, terminal);
    });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('It must be a number from 0 to 65535.');
}

function parseWorkers(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= 64) return count;
  throw new InvalidArgumentError('It must be a number from 1 to 64.');
}

const terminal = createTerminal();
let json = false;
await createProgram(terminal)
  .hook('preAction', (_program, command) => {
    json = command.opts<{ json?: boolean }>().json === true;
  })
  .parseAsync()
  .catch((error: unknown) => {
    process.exitCode = reportFailure(error, { terminal, json });
  });

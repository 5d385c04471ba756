import { Option, type Command } from 'commander';
import type { KeysFlags } from './keys-command.ts';
import { DATA_DIR, ENV_FILE, FOLDER, JSON_OUTPUT } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import type { ExportFlags, ImportFlags } from './transfer-command.ts';

/** Commands that open the store themselves. */
export function addStoreCommands(program: Command, terminal: Terminal): void {
  addKeysCommands(program.command('keys').description('check, add or rotate encryption keys'), terminal);
  addBackupCommands(program, terminal);
  addTransferCommands(program, terminal);
}

/** Options of commands that open the store. */
function store(command: Command): Command {
  return command
    .option(...FOLDER)
    .option(...DATA_DIR)
    .option(...ENV_FILE)
    .option(...JSON_OUTPUT);
}

function addBackupCommands(program: Command, terminal: Terminal): void {
  store(program.command('backup'))
    .description('copy the embedded store to a new file, while the server goes on')
    .argument('<file>')
    .addHelpText('after', '\nThe copy is sealed and holds no key: keep encryption.key too, apart from it.')
    .action(async (file: string, flags: KeysFlags) => {
      const { backupCommand } = await import('./transfer-command.ts');
      await backupCommand(file, flags, terminal);
    });
  store(program.command('restore'))
    .description('put a backup in the place of the embedded store, while the server goes on')
    .argument('<file>')
    .addHelpText('after', '\nThe backup is checked first, and a copy of the present data is kept in a file beside it.')
    .action(async (file: string, flags: KeysFlags) => {
      const { restoreCommand } = await import('./transfer-command.ts');
      await restoreCommand(file, flags, terminal);
    });
}

function addTransferCommands(program: Command, terminal: Terminal): void {
  store(program.command('export'))
    .description('write all connections, one JSON object a line')
    .argument('[file]', 'a new file; without it stdout')
    .option('--clear-credentials', 'write credentials so that anyone can read them')
    .addHelpText(
      'after',
      `
Sealed credentials open with the same encryption key alone.

From the embedded store to PostgreSQL, with the key of .nango/encryption.key in NANGO_ENCRYPTION_KEY:
  nango export connections.jsonl
  DATABASE_URL=postgresql://… nango import connections.jsonl`,
    )
    .action(async (file: string | undefined, flags: ExportFlags) => {
      const { exportCommand } = await import('./transfer-command.ts');
      await exportCommand(file, flags, terminal);
    });
  store(program.command('import'))
    .description('store connections from a file: an export, a JSON list, or CSV')
    .argument('<file>')
    .addOption(
      new Option('--existing <what>', 'what to do with connections that are there already')
        .choices(['fail', 'skip', 'replace'])
        .default('fail'),
    )
    .option('--dry-run', 'only check the file')
    .addHelpText(
      'after',
      `
The whole file is checked first; with a fault in it nothing is stored.

JSON of another system is a list of what registerConnection takes:
  [{ "integration": "acme", "userId": "1", "credentials": { "access_token": "…" }, "additionalConfig": {} }]
CSV has the columns integration and userId, config.<name> for additionalConfig, and the credentials' fields:
  integration,userId,access_token,refresh_token,config.team`,
    )
    .action(async (file: string, flags: ImportFlags) => {
      const { importCommand } = await import('./transfer-command.ts');
      process.exitCode = await importCommand(file, flags, terminal);
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
  const add = (name: string, description: string) => store(keys.command(name)).description(description);
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

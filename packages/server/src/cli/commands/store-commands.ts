import { Option, type Command } from 'commander';
import type { KeysFlags } from './keys-command.ts';
import { DATA_DIR, ENV_FILE, FOLDER, JSON_OUTPUT } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import type { ExportFlags, ImportFlags } from './transfer-command.ts';

/** Adds the commands that open the store themselves. */
export function addStoreCommands(program: Command, terminal: Terminal): void {
  addKeysCommands(program.command('keys').description('check, add or rotate encryption keys'), terminal);
  addBackupCommands(program, terminal);
  addTransferCommands(program, terminal);
  addMigrateCommands(program.command('migrate').description('finish the migration of the database'), terminal);
}

/** Adds the options of commands that open the store. */
function addStoreOptions(command: Command): Command {
  return command
    .option(...FOLDER)
    .option(...DATA_DIR)
    .option(...ENV_FILE)
    .option(...JSON_OUTPUT);
}

function addBackupCommands(program: Command, terminal: Terminal): void {
  addStoreOptions(program.command('backup'))
    .description('copy the embedded store to a new file, while the server runs')
    .argument('<file>')
    .addHelpText(
      'after',
      '\nThe copy is sealed and does not contain the key. Back up encryption.key too, in another place.',
    )
    .action(async (file: string, flags: KeysFlags) => {
      const { backupCommand } = await import('./transfer-command.ts');
      await backupCommand(file, flags, terminal);
    });
  addStoreOptions(program.command('restore'))
    .description('replace the data of the embedded store with a backup, while the server runs')
    .argument('<file>')
    .addHelpText('after', '\nThe backup is checked first. The earlier data is kept as a copy in the data directory.')
    .action(async (file: string, flags: KeysFlags) => {
      const { restoreCommand } = await import('./transfer-command.ts');
      await restoreCommand(file, flags, terminal);
    });
}

function addTransferCommands(program: Command, terminal: Terminal): void {
  addStoreOptions(program.command('export'))
    .description('write all connections, one JSON object for each line')
    .argument('[file]', 'a new file; default: stdout')
    .option('--clear-credentials', 'write credentials in the clear, so that anyone can read them')
    .addHelpText(
      'after',
      `
Sealed credentials can be opened only with the same encryption key.

To move from the embedded store to PostgreSQL, set NANGO_ENCRYPTION_KEY to the key in .nango/encryption.key:
  nango export connections.jsonl
  DATABASE_URL=postgresql://… nango import connections.jsonl`,
    )
    .action(async (file: string | undefined, flags: ExportFlags) => {
      const { exportCommand } = await import('./transfer-command.ts');
      await exportCommand(file, flags, terminal);
    });
  addStoreOptions(program.command('import'))
    .description('store connections from a file: an export, a JSON list, or CSV')
    .argument('<file>')
    .addOption(
      new Option('--existing <what>', 'what to do with connections that already exist')
        .choices(['fail', 'skip', 'replace'])
        .default('fail'),
    )
    .option('--dry-run', 'only check the file')
    .addHelpText(
      'after',
      `
The whole file is checked first. If it has a fault, nothing is stored.

JSON from another system is a list of connections, with the parameters of registerConnection:
  [{ "integration": "acme", "userId": "1", "credentials": { "access_token": "…" }, "additionalConfig": {} }]
CSV has the columns integration and userId, connection.account for another account than default, config.<name> for
additionalConfig, tag.<name> for tags, and a column for each credential:
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
To change the key while the server runs:
  1. nango keys add      (or put a new key in front of NANGO_ENCRYPTION_KEY: "new,old")
  2. start every server again: it seals with the new key, and opens values of both keys
  3. nango keys rotate   seals the stored values with the new key
  4. nango keys check    shows that no value needs the old key; then remove that key`,
  );
  const add = (name: string, description: string) => addStoreOptions(keys.command(name)).description(description);
  add('check', 'count the values of each key, and check that all can be opened').action(async (flags: KeysFlags) => {
    const { checkKeysCommand } = await import('./keys-command.ts');
    process.exitCode = await checkKeysCommand(flags, terminal);
  });
  add('add', 'create a new key for the embedded store').action(async (flags: KeysFlags) => {
    const { addKeyCommand } = await import('./keys-command.ts');
    addKeyCommand(flags, terminal);
  });
  add('rotate', 'seal all values with the newest key, while servers run').action(async (flags: KeysFlags) => {
    const { rotateKeysCommand } = await import('./keys-command.ts');
    process.exitCode = await rotateKeysCommand(flags, terminal);
  });
}

function addMigrateCommands(migrate: Command, terminal: Terminal): void {
  addStoreOptions(migrate.command('finish'))
    .description('do the part of the migration that servers of the release before cannot work with')
    .addHelpText(
      'after',
      `
A server that starts migrates the database so that servers of the release before can still use it.
When all servers run this release, finish the migration. Servers may run meanwhile.
Until then a user can have only one account connected to an Integration.`,
    )
    .action(async (flags: KeysFlags) => {
      const { finishMigrationCommand } = await import('./migrate-command.ts');
      await finishMigrationCommand(flags, terminal);
    });
}

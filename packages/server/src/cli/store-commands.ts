import type { Command } from 'commander';
import type { KeysFlags } from './keys-command.ts';
import { DATA_DIR, FOLDER, JSON_OUTPUT } from './options.ts';
import type { Terminal } from './terminal.ts';

/** The commands that open the store themselves. */
export function addStoreCommands(program: Command, terminal: Terminal): void {
  addKeysCommands(program.command('keys').description('check, add or rotate encryption keys'), terminal);
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

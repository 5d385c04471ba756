import { readSettings } from '../../config/settings.ts';
import { finishMigration } from '../../operations/finish-migration.ts';
import type { Terminal } from '../terminal.ts';
import type { KeysFlags } from './keys-command.ts';

/** `nango migrate finish`: does the part of a migration that servers of the release before cannot work with. */
export async function finishMigrationCommand(flags: KeysFlags, terminal: Terminal): Promise<void> {
  const result = await finishMigration(readSettings({ ...flags, dataDirectory: flags.dataDir }));
  if (flags.json) return terminal.out(JSON.stringify({ result }));
  const text =
    result === 'finished'
      ? 'The migration is finished. Users can connect several accounts. Earlier releases cannot use this database.'
      : 'There is nothing to do: the migration is finished already.';
  terminal.err(`${terminal.style('green', '✓')} ${text}`);
}

import { readSettings, type Settings } from '../../config/settings.ts';
import { backUp, restore } from '../../operations/store-backup.ts';
import { exportStore, importStore } from '../../operations/store-transfer.ts';
import { printable, type Terminal } from '../terminal.ts';

interface StoreFlags {
  readonly folder?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
  readonly envFile?: readonly string[];
}

/** Flags of `nango export`. */
export interface ExportFlags extends StoreFlags {
  readonly clearCredentials?: boolean;
}

/** Flags of `nango import`. */
export interface ImportFlags extends StoreFlags {
  readonly existing?: 'fail' | 'skip' | 'replace';
  readonly dryRun?: boolean;
}

/** `nango backup`: copies the embedded store to a new file. */
export async function backupCommand(file: string, flags: StoreFlags, terminal: Terminal): Promise<void> {
  const progress = createProgress(terminal);
  const done = await backUp({
    settings: settingsOf(flags),
    file,
    onProgress: (part) => progress(`${Math.floor(part * 100)} %`),
  });
  if (flags.json) return terminal.out(JSON.stringify({ file, ...done }));
  terminal.err(`${terminal.style('green', '✓')} ${file} contains ${done.connections} sealed connections.`);
  terminal.err('  The backup does not contain the encryption key. Without that key, nobody can open the backup.');
}

/** `nango restore`: replaces the data of the embedded store with a backup. */
export async function restoreCommand(file: string, flags: StoreFlags, terminal: Terminal): Promise<void> {
  const progress = createProgress(terminal);
  const done = await restore({
    settings: settingsOf(flags),
    file,
    onProgress: (part) => progress(`${Math.floor(part * 100)} %`),
  });
  if (flags.json) return terminal.out(JSON.stringify(done));
  terminal.err(`${terminal.style('green', '✓')} Restored ${done.connections} connections from ${file}.`);
  if (done.previous !== undefined) terminal.err(`  The earlier data is in ${done.previous}`);
  terminal.err(
    '  Refresh tokens that were rotated since the backup are no longer valid. ' +
      'The users of such connections must connect again.',
  );
}

/** `nango export`: writes all connections to a file, or to stdout. */
export async function exportCommand(file: string | undefined, flags: ExportFlags, terminal: Terminal): Promise<void> {
  const clear = flags.clearCredentials ?? false;
  if (clear)
    terminal.err(
      terminal.style('yellow', '! Credentials are written in the clear: anyone who reads the file can use them.'),
    );
  const progress = createProgress(terminal);
  const exported = await exportStore({
    settings: settingsOf(flags),
    file,
    clear,
    onProgress: (count) => progress(`${count} connections`),
  });
  terminal.err(`${terminal.style('green', '✓')} ${exported} connections exported${clear ? '' : ', sealed'}.`);
}

/** `nango import`: stores connections from a file. Returns the exit code. */
export async function importCommand(file: string, flags: ImportFlags, terminal: Terminal): Promise<number> {
  const progress = createProgress(terminal);
  const { count, stored, faults } = await importStore({
    settings: settingsOf(flags),
    file,
    existing: flags.existing ?? 'fail',
    dryRun: flags.dryRun ?? false,
    onProgress: (done) => progress(`${done} connections`),
  });
  if (flags.json) terminal.out(JSON.stringify({ count, stored, faults }));
  else if (flags.dryRun) terminal.err(`${terminal.style('green', '✓')} ${count} connections can be imported.`);
  else terminal.err(`${terminal.style('green', '✓')} ${stored} of ${count} connections imported.`);
  for (const { line, message } of faults)
    terminal.err(`${terminal.style('red', '✗')} line ${line}: ${printable(message)}`);
  return faults.length > 0 ? 1 : 0;
}

/** Creates a function that prints progress on a terminal, at most once a second. A pipe receives no progress. */
function createProgress(terminal: Terminal): (text: string) => void {
  let last = Date.now();
  return (text) => {
    if (!terminal.interactive || Date.now() - last < 1000) return;
    last = Date.now();
    terminal.err(terminal.style('gray', `  ${text}`));
  };
}

function settingsOf(flags: StoreFlags): Settings {
  return readSettings({ ...flags, dataDirectory: flags.dataDir });
}

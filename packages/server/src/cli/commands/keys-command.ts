import { readSettings, type Settings } from '../../config/settings.ts';
import { addKey, checkKeys, rotateKeys, type KeyRotation } from '../../operations/encryption-keys.ts';
import { formatTable, printable, type Terminal } from '../terminal.ts';

/** Flags of commands that open the store. */
export interface KeysFlags {
  readonly folder?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
  readonly envFile?: readonly string[];
}

/** `nango keys check`: counts the values by key. Returns the exit code: 1 if a value cannot be opened. */
export async function checkKeysCommand(flags: KeysFlags, terminal: Terminal): Promise<number> {
  const usage = await checkKeys(settingsOf(flags));
  if (flags.json) terminal.out(JSON.stringify(usage));
  else {
    const rows = usage.keys.map(({ id, values, present }) => [
      id,
      String(values),
      id === usage.sealingKeyId ? 'seals' : present ? 'opens' : 'missing',
    ]);
    terminal.out(formatTable([['key', 'values', ''], ...rows], terminal.columns));
    if (usage.unreadable > 0) terminal.err(unreadableMessage(usage.unreadable, terminal));
    for (const name of usage.serversWithoutKey)
      terminal.err(
        `${terminal.style('yellow', '!')} The server ${printable(name)} runs without the key that seals. ` +
          'Start it again with that key.',
      );
  }
  return usage.unreadable > 0 ? 1 : 0;
}

/** `nango keys add`: adds a key that seals after the next start. The present keys still open values. */
export function addKeyCommand(flags: KeysFlags, terminal: Terminal): void {
  const path = addKey(settingsOf(flags));
  terminal.err(
    `${terminal.style('green', '✓')} Put a new key in front of the others in ${path}. ` +
      'Back up that file, start the server',
  );
  terminal.err('  again, then run: nango keys rotate');
}

/** `nango keys rotate`: seals everything with the newest key, while servers run. Returns the exit code. */
export async function rotateKeysCommand(flags: KeysFlags, terminal: Terminal): Promise<number> {
  const progress = ({ resealed, current }: KeyRotation) => {
    if (terminal.interactive)
      terminal.err(
        terminal.style('gray', `  ${resealed} values were sealed with the newest key, ${current} already had it`),
      );
  };
  const done = await rotateKeys(settingsOf(flags), progress);
  if (flags.json) terminal.out(JSON.stringify(done));
  else
    terminal.err(
      `${terminal.style('green', '✓')} ${done.resealed} values were sealed with the newest key; ` +
        `${done.current} already had it.`,
    );
  if (done.unreadable === 0) return 0;
  terminal.err(unreadableMessage(done.unreadable, terminal));
  return 1;
}

function unreadableMessage(count: number, terminal: Terminal): string {
  return `${terminal.style('red', '✗')} ${count} values cannot be opened with the present keys.`;
}

function settingsOf(flags: KeysFlags): Settings {
  return readSettings({ ...flags, dataDirectory: flags.dataDir });
}

import { readSettings, type Settings } from '../../config/settings.ts';
import { addKey, checkKeys, rotateKeys, type KeyRotation } from '../../operations/encryption-keys.ts';
import { formatTable, printable, type Terminal } from '../terminal.ts';

export interface KeysFlags {
  readonly folder?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
  readonly envFile?: readonly string[];
}

/** `nango keys check`: counts the values by key. Returns the exit code: 1 if a value does not open. */
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
    if (usage.unreadable > 0)
      terminal.err(`${terminal.style('red', '✗')} ${usage.unreadable} values do not open with the keys that are here.`);
    for (const name of usage.serversWithoutKey)
      terminal.err(`${terminal.style('yellow', '!')} ${printable(name)} runs without the key that seals here.`);
  }
  return usage.unreadable > 0 ? 1 : 0;
}

/** `nango keys add`: makes a key that seals from the next start on. The present keys still open. */
export function addKeyCommand(flags: KeysFlags, terminal: Terminal): void {
  const path = addKey(settingsOf(flags));
  terminal.err(`${terminal.style('green', '✓')} A new key is the first in ${path}. Back the file up, start the server`);
  terminal.err('  again, then: nango keys rotate');
}

/** `nango keys rotate`: seals everything with the newest key, while servers go on. Returns the exit code. */
export async function rotateKeysCommand(flags: KeysFlags, terminal: Terminal): Promise<number> {
  const progress = ({ resealed, current }: KeyRotation) => {
    if (terminal.interactive)
      terminal.err(terminal.style('gray', `  ${resealed} sealed anew, ${current} were already`));
  };
  const done = await rotateKeys(settingsOf(flags), progress);
  if (flags.json) terminal.out(JSON.stringify(done));
  else
    terminal.err(
      `${terminal.style('green', '✓')} ${done.resealed} values sealed with the newest key, ${done.current} already were.`,
    );
  if (done.unreadable === 0) return 0;
  terminal.err(`${terminal.style('red', '✗')} ${done.unreadable} values do not open with the keys that are here.`);
  return 1;
}

function settingsOf(flags: KeysFlags): Settings {
  return readSettings({ ...flags, dataDirectory: flags.dataDir });
}

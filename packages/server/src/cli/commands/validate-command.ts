import { ConfigError, formatKeyPath } from '../../sources/config-fault.ts';
import { loadConfig } from '../../config/load-config.ts';
import { readSettings } from '../../config/settings.ts';
import { CATALOG_FOLDER } from '../../package-files.ts';
import type { Terminal } from '../terminal.ts';

/** Flags of `nango validate`. */
export interface ValidateFlags {
  readonly folder?: string;
  readonly json?: boolean;
  readonly envFile?: readonly string[];
}

/** `nango validate`: lists every fault of the Nango folder. Returns the exit code: 1 if there are faults. */
export async function validateCommand({ json, ...flags }: ValidateFlags, terminal: Terminal): Promise<number> {
  const settings = readSettings(flags);
  try {
    const { integrations, warnings } = await loadConfig({
      folder: settings.folder,
      catalog: CATALOG_FOLDER,
      environment: settings.environment,
    });
    if (json)
      terminal.out(
        JSON.stringify({ valid: true, integrations: [...integrations.keys()], warnings, faults: [] }, null, 2),
      );
    else {
      for (const warning of warnings) terminal.err(terminal.style('yellow', `! ${warning}`));
      terminal.err(
        `${terminal.style('green', '✓')} The configuration is valid: ` +
          `${integrations.size} integration${integrations.size === 1 ? '' : 's'}.`,
      );
    }
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printFaults(error, { json, terminal });
    return 1;
  }
}

function printFaults(
  { faults }: ConfigError,
  { json, terminal }: { json: boolean | undefined; terminal: Terminal },
): void {
  if (json) {
    terminal.out(
      JSON.stringify(
        { valid: false, faults: faults.map((fault) => ({ ...fault, path: formatKeyPath(fault.path) })) },
        null,
        2,
      ),
    );
    return;
  }
  for (const { file, line, column, path, message } of faults) {
    const key = formatKeyPath(path);
    terminal.err(
      `${terminal.style('cyan', `${file}:${line}:${column}`)} ` +
        `${key === '' ? '' : `${terminal.style('bold', key)}: `}${message}`,
    );
  }
  terminal.err(terminal.style('red', `✗ ${faults.length} fault${faults.length === 1 ? '' : 's'}`));
}

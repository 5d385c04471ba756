import { isAbsolute, relative } from 'node:path';
import { NangoError } from '../errors/nango-error.ts';

/** The keys that lead to a value, from the top of a file. */
export type KeyPath = readonly (string | number)[];

/** A place in a file; lines and columns count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One fault of a configuration file. */
export interface ConfigFault extends Position {
  readonly path: KeyPath;
  readonly message: string;
}

/** A file's path in messages: relative to the working folder, so that terminals can open it; else absolute. */
export function shownPath(path: string): string {
  const inside = relative(process.cwd(), path);
  return inside.startsWith('..') || isAbsolute(inside) ? path : inside;
}

/** Thrown if the configuration cannot be used. Carries every fault. */
export class ConfigError extends NangoError {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(
      'invalid_config',
      `The configuration has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${formatFaults(faults)}`,
    );
    this.faults = faults;
  }
}

/** One line for each fault: `file:line:column key: message`, which editors and terminals make clickable. */
function formatFaults(faults: readonly ConfigFault[]): string {
  return faults.map(formatFault).join('\n');
}

function formatFault({ file, line, column, path, message }: ConfigFault): string {
  const key = formatKeyPath(path);
  return `${file}:${line}:${column} ${key === '' ? '' : `${key}: `}${message}`;
}

/** `integrations.acme.auth.token_url`, with quotes around keys that contain a dot. */
export function formatKeyPath(path: KeyPath): string {
  return path
    .map((key) => (typeof key === 'string' && /[.\s]/.test(key) ? JSON.stringify(key) : String(key)))
    .join('.');
}

/** Faults in reading order, one for each place. The merge does not repeat what the file's own schema reported. */
export function sortFaults(faults: readonly ConfigFault[]): ConfigFault[] {
  const unique = new Map<string, ConfigFault>();
  for (const fault of faults) {
    const place = JSON.stringify([fault.file, fault.line, fault.column, fault.path]);
    if (!unique.has(place)) unique.set(place, fault);
  }
  return [...unique.values()].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column);
}

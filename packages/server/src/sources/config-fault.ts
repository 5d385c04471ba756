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

/** Returns a file's path for messages: relative to the working folder if it is inside, else absolute. */
export function displayPath(path: string): string {
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

/** Formats one line for each fault: `file:line:column key: message`. Editors and terminals make it clickable. */
function formatFaults(faults: readonly ConfigFault[]): string {
  return faults.map(formatFault).join('\n');
}

function formatFault({ file, line, column, path, message }: ConfigFault): string {
  const key = formatKeyPath(path);
  return `${file}:${line}:${column} ${key === '' ? '' : `${key}: `}${message}`;
}

/** Formats a key path as `integrations.acme.auth.token_url`, with quotes around keys that contain a dot. */
export function formatKeyPath(path: KeyPath): string {
  return path
    .map((key) => (typeof key === 'string' && /[.\s]/.test(key) ? JSON.stringify(key) : String(key)))
    .join('.');
}

/** Sorts faults in reading order, one for each place, because the file's schema and the merge may report the same. */
export function sortFaults(faults: readonly ConfigFault[]): ConfigFault[] {
  const unique = new Map<string, ConfigFault>();
  for (const fault of faults) {
    const place = JSON.stringify([fault.file, fault.line, fault.column, fault.path]);
    if (!unique.has(place)) unique.set(place, fault);
  }
  return [...unique.values()].sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column);
}

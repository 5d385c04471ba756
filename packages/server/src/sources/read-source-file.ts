import { readFile } from 'node:fs/promises';
import { displayPath } from './config-fault.ts';
import { parseSourceFile, type SourceFile } from './source-file.ts';

/** Reads a YAML file; undefined if it does not exist. Its faults name the path as people write it. */
export async function readSourceFile(path: string): Promise<SourceFile | undefined> {
  const text = await readIfPresent(path);
  return text === undefined ? undefined : parseSourceFile(displayPath(path), text);
}

/** Returns a file's text; undefined if the file does not exist. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
}

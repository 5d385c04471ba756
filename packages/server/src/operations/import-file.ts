import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { exportHeaderSchema } from './transfer-format.ts';
import type { ImportEntry, ImportSource } from './import-connections.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { parseExactJson } from '../formats/parse-json.ts';

/** Options of the CSV parser. The first line names the columns. */
export const CSV_OPTIONS = { columns: true, bom: true, trim: true, info: true } as const;

/**
 * Opens a file to import: one of our exports (a JSON object in each line), a JSON list, or CSV with a header line. The
 * file is streamed unless it is a JSON list. Throws `invalid_import` if it is none of these, and `file_unreadable`.
 */
export async function openImportFile(path: string): Promise<ImportSource> {
  const [first = ''] = (await readStart(path)).split('\n', 1);
  if (extname(path).toLowerCase() === '.csv') return { header: undefined, entries: csvEntries(path) };
  if (first.trimStart().startsWith('[')) return { header: undefined, entries: listEntries(path) };
  const header = exportHeaderSchema.safeParse(jsonOfLine(first, 1)).data;
  return { header, entries: lineEntries(path, { skip: header ? 1 : 0 }) };
}

async function readStart(path: string): Promise<string> {
  const unreadable = (cause: unknown): never => {
    throw new NangoError('file_unreadable', `${path} cannot be read: ${messageOf(cause)}.`, { cause });
  };
  const file = await open(path).catch(unreadable);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, 0).catch(unreadable);
    return buffer
      .subarray(0, bytesRead)
      .toString('utf8')
      .replace(/^\uFEFF/, '');
  } finally {
    await file.close();
  }
}

async function* lineEntries(path: string, { skip }: { skip: number }): AsyncGenerator<ImportEntry> {
  let line = 0;
  const file = await open(path);
  for await (const text of file.readLines()) {
    line += 1;
    if (line > skip && text.trim() !== '') yield { line, value: jsonOfLine(text, line) };
  }
}

async function* listEntries(path: string): AsyncGenerator<ImportEntry> {
  const list = jsonOfLine(await readFile(path, 'utf8'), 1);
  if (!Array.isArray(list)) throw new NangoError('invalid_import', 'The file must contain a JSON list.');
  for (const [index, value] of list.entries()) yield { line: index + 1, value };
}

/** Reads columns `integration` and `userId`, columns `config.…` for additionalConfig, and all others as credentials. */
async function* csvEntries(path: string): AsyncGenerator<ImportEntry> {
  // Imported on demand, because a server does not need it.
  const { parse } = await import('csv-parse');
  const parser = parse(CSV_OPTIONS);
  // `pipe` does not forward errors.
  createReadStream(path)
    .on('error', (error) => parser.destroy(error))
    .pipe(parser);
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: Record<string, string>;
      info: { lines: number };
    }>) {
      yield { line: info.lines, value: toConnection(record) };
    }
  } catch (cause) {
    throw new NangoError('invalid_import', `The CSV cannot be read: ${messageOf(cause)}.`, { cause });
  }
}

function toConnection({ integration, userId, user_id, ...rest }: Record<string, string>): unknown {
  const filled = Object.entries(rest).filter(([, value]) => value !== '');
  const withPrefix = (prefix: string) =>
    Object.fromEntries(
      filled.filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]),
    );
  return {
    integration,
    userId: userId ?? user_id,
    ...withPrefix('connection.'),
    credentials: Object.fromEntries(filled.filter(([name]) => !/^(config|tag|connection)\./.test(name))),
    additionalConfig: withPrefix('config.'),
    tags: withPrefix('tag.'),
  };
}

function jsonOfLine(text: string, line: number): unknown {
  const value = parseExactJson(text);
  if (value !== undefined) return value;
  throw new NangoError(
    'invalid_import',
    `Line ${line} is not JSON. Import a file that nango export wrote, a JSON list, or CSV (.csv).`,
  );
}

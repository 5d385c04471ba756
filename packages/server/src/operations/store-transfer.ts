import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, linkSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createClock } from '../clock.ts';
import { loadConfig, type Config } from '../config/load-config.ts';
import type { Settings } from '../config/settings.ts';
import { createContext, type WorkingContext } from '../context.ts';
import { exportConnections } from './export-connections.ts';
import { checkImport, importConnections, type ImportFault, type OnExisting } from './import-connections.ts';
import { NangoError } from '../errors/nango-error.ts';
import { openImportFile } from './import-file.ts';
import { openKeyedStore, type StoreAccess } from './open-store.ts';
import { CATALOG_FOLDER } from '../package-files.ts';

// Commands report results and faults themselves.
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Options of an export. */
export interface ExportOptions {
  readonly settings: Settings;
  /** A new file that only its owner can read; undefined = stdout. */
  readonly file: string | undefined;
  /** Whether credentials are written unsealed. */
  readonly clear: boolean;
  readonly onProgress: (exported: number) => void;
}

/** Writes all connections, one JSON object in each line. Resolves to their number. Throws `file_exists`. */
export async function exportStore({ settings, file, clear, onProgress }: ExportOptions): Promise<number> {
  if (file !== undefined && existsSync(file))
    throw new NangoError('file_exists', `${file} already exists. Name a new file.`);
  await using opened = await openKeyedStore(settings);
  const context = { ...opened, now: Date.now };
  let exported = -1;
  async function* lines(): AsyncGenerator<string> {
    for await (const line of exportConnections(context, { clear })) {
      yield `${JSON.stringify(line)}\n`;
      if ((exported += 1) % 500 === 0 && exported > 0) onProgress(exported);
    }
  }
  if (file === undefined) {
    await pipeline(Readable.from(lines()), process.stdout, { end: false });
    return exported;
  }
  const draft = `${file}.${randomBytes(6).toString('hex')}.partial`;
  try {
    await pipeline(Readable.from(lines()), createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true }));
    linkSync(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
  return exported;
}

/** Options of an import. */
export interface ImportOptions {
  readonly settings: Settings;
  readonly file: string;
  readonly existing: OnExisting;
  /** Whether the file is only checked. */
  readonly dryRun: boolean;
  readonly onProgress: (stored: number) => void;
}

/** The result of an import, or of its dry run. */
export interface ImportResult {
  /** Number of connections in the file. */
  readonly count: number;
  readonly stored: number;
  /** Connections that a provider rejected, after the file passed the checks. */
  readonly faults: readonly ImportFault[];
}

/**
 * Imports connections from a file, while servers run. The whole file is checked first. If it has a fault, nothing is
 * stored, and `invalid_import` lists the faults with their lines. A failed check does not bind an empty database to a
 * key.
 */
export async function importStore(options: ImportOptions): Promise<ImportResult> {
  const { settings, file, existing, dryRun, onProgress } = options;
  const config = await loadConfig({
    folder: settings.folder,
    catalog: CATALOG_FOLDER,
    environment: settings.environment,
  });
  const outdated = dryRun ? 'refuse' : 'migrate';
  const count = await withContext({ settings, config, access: { missing: 'temporary', outdated } }, async (context) => {
    const checked = await checkImport(await openImportFile(file), { existing, context });
    if (checked.faults.length === 0) return checked.count;
    const list = checked.faults.map(({ line, message }) => `  line ${line}: ${message}`).join('\n');
    throw new NangoError('invalid_import', `Nothing was imported. ${file} has faults:\n${list}`);
  });
  if (dryRun) return { count, stored: 0, faults: [] };
  return withContext({ settings, config, access: { missing: 'create', outdated: 'migrate' } }, async (context) => ({
    count,
    ...(await importConnections(await openImportFile(file), { existing, context, onProgress })),
  }));
}

/** Opens a context for work on connections, and closes it when `use` has ended. */
async function withContext<T>(
  { settings, config, access }: { settings: Settings; config: Config; access: StoreAccess },
  use: (context: WorkingContext) => Promise<T>,
): Promise<T> {
  await using opened = await openKeyedStore(settings, access);
  const context = createContext({ ...opened, now: createClock(), delay, log: SILENT, config: () => config });
  try {
    return await use(context);
  } finally {
    await context.client.close();
  }
}

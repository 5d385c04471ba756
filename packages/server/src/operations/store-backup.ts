import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { createClock } from '../clock.ts';
import type { Settings } from '../config/settings.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { databaseFile, readEncryptionKeys } from './keys.ts';
import { prepareStore } from './open-store.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { createVault } from '../vault/vault.ts';

/** Number of 4 KiB pages that are copied at a time. */
const PAGES_AT_ONCE = 1_000;

/** Options of a backup and of a restore. */
export interface BackupOptions {
  readonly settings: Settings;
  readonly file: string;
  /** Called with the progress, from 0 to 1. */
  readonly onProgress: (part: number) => void;
}

/** The contents of a backup. */
export interface Backup {
  readonly connections: number;
}

/**
 * Writes a consistent copy of the embedded store to a new file, while servers run. Sealed values stay sealed, and the
 * key is not copied. Throws `file_exists`, `file_not_found`, `invalid_backup` and `unsupported_store`.
 */
export async function backUp({ settings, file, onProgress }: BackupOptions): Promise<Backup> {
  assertEmbedded(settings, 'back it up with pg_dump');
  const source = databaseFile(settings);
  if (!existsSync(source))
    throw new NangoError('file_not_found', `The database ${source} does not exist. Name its folder with --data-dir.`);
  if (existsSync(file)) throw new NangoError('file_exists', `${file} already exists. Name a new file.`);
  const draft = `${file}.${randomBytes(6).toString('hex')}.partial`;
  try {
    await copyDatabase(source, draft, onProgress);
    const connections = inspectBackup(draft);
    flushToDisk(draft);
    linkSync(draft, file);
    return { connections };
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The result of a restore. */
export interface Restore extends Backup {
  /** The path of the copy of the earlier contents; undefined = there were none. */
  readonly previous: string | undefined;
}

/**
 * Replaces the embedded store's contents by a backup, in one transaction, while servers run. First the backup is
 * checked: it must be complete, of a known version, and the present key must open it. The earlier contents are copied.
 */
export async function restore({ settings, file, onProgress }: BackupOptions): Promise<Restore> {
  assertEmbedded(settings, 'restore it with pg_restore');
  if (!existsSync(file))
    throw new NangoError('file_not_found', `${file} does not exist. Name a file that nango backup wrote.`);
  const keys = await readEncryptionKeys(settings, 'refuse');
  const target = databaseFile(settings);
  const candidate = join(dirname(target), `restore-${randomBytes(6).toString('hex')}.db`);
  try {
    await copyDatabase(file, candidate, () => undefined);
    const connections = inspectBackup(candidate);
    const store = openSqliteStore(candidate, createClock());
    try {
      const vault = createVault(...keys.encryption);
      await prepareStore(store, vault, { missing: 'create', outdated: 'migrate' });
      // Servers of the target know that its migration is finished, and do not ask again.
      if (await isMigrationFinished(target)) await store.finishMigration(0, () => true);
    } finally {
      await store.close();
    }
    const previous = existsSync(target) ? await copyPrevious(target) : undefined;
    await copyDatabase(candidate, target, onProgress);
    return { connections, previous };
  } finally {
    for (const companion of ['', '-wal', '-shm']) rmSync(`${candidate}${companion}`, { force: true });
  }
}

/** Whether the migration of the database in a file is finished. */
async function isMigrationFinished(file: string): Promise<boolean> {
  if (!existsSync(file)) return false;
  const store = openSqliteStore(file, createClock());
  try {
    return await store.isMigrationFinished();
  } finally {
    await store.close();
  }
}

async function copyPrevious(target: string): Promise<string> {
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const previous = join(dirname(target), `${basename(target, '.db')}-before-restore-${stamp}.db`);
  await copyDatabase(target, previous, () => undefined);
  return previous;
}

async function copyDatabase(from: string, to: string, onProgress: (part: number) => void): Promise<void> {
  if (!existsSync(to)) closeSync(openSync(to, 'wx', 0o600));
  else chmodSync(to, 0o600);
  try {
    const source = new DatabaseSync(from, { readOnly: true });
    try {
      await backup(source, to, {
        rate: PAGES_AT_ONCE,
        progress: ({ totalPages, remainingPages }) => onProgress((totalPages - remainingPages) / totalPages),
      });
    } finally {
      source.close();
    }
  } catch (cause) {
    throw new NangoError('invalid_backup', `${from} could not be copied to ${to}: ${messageOf(cause)}.`, { cause });
  }
}

/** Returns the number of connections. Throws `invalid_backup` if the file is damaged, or not a backup. */
function inspectBackup(file: string): number {
  try {
    const database = new DatabaseSync(file);
    try {
      // Without WAL, the backup is a single file, which is easy to copy.
      database.exec('pragma journal_mode = delete');
      const check = database.prepare('pragma integrity_check').get()?.['integrity_check'];
      if (check !== 'ok') throw new Error(String(check));
      return Number(database.prepare('select count(*) as count from connections').get()?.['count']);
    } finally {
      database.close();
    }
  } catch (cause) {
    throw new NangoError(
      'invalid_backup',
      `The file is not a complete backup of a Nango database: ${messageOf(cause)}.`,
      {
        cause,
      },
    );
  }
}

function flushToDisk(path: string): void {
  const file = openSync(path, 'r+');
  fsyncSync(file);
  closeSync(file);
}

function assertEmbedded({ databaseUrl }: Settings, instruction: string): void {
  if (databaseUrl !== undefined)
    throw new NangoError(
      'unsupported_store',
      `This command works only with the embedded store. DATABASE_URL names a PostgreSQL server: ${instruction}.`,
    );
}

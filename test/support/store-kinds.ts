import { join } from 'node:path';
import { openPostgresStore } from '../../packages/server/src/store/postgres.ts';
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts';
import type { Store } from '../../packages/server/src/store/store.ts';
import { startPostgres } from './postgres.ts';
import { temporaryFolder, type Cleanup } from './temporary-folder.ts';

/** A kind of store, for the suites that every store has to pass. */
export interface StoreKind {
  readonly name: string;
  /** Two calls of `open` use the same data. `module` and `argument` say how another process opens it. */
  readonly setUp: (cleanup: Cleanup) => Promise<{ open: () => Store; module: string; argument: string }>;
}

export const STORE_KINDS: readonly StoreKind[] = [
  {
    name: 'SQLite',
    setUp: async (cleanup) => {
      const file = join(temporaryFolder(cleanup), 'data', 'nango.db');
      return { open: () => openSqliteStore(file), module: 'sqlite.ts#openSqliteStore', argument: file };
    },
  },
  {
    name: 'PostgreSQL',
    setUp: async (cleanup) => {
      const postgres = await startPostgres(cleanup);
      const url = await postgres.createDatabase();
      return { open: () => openPostgresStore(url), module: 'postgres.ts#openPostgresStore', argument: url };
    },
  },
];

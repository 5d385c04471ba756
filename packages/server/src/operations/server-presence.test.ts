import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { FastifyBaseLogger } from 'fastify';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import { ServerPresence } from './server-presence.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import type { ServerPlace } from '../store/store.ts';
import { createVault } from '../vault/vault.ts';
import { secret } from '../../../../test/support/secrets.ts';

const OWN: ServerPlace = { host: 'here', pid: process.pid, version: '2.0.0' };
const vault = createVault(secret(Buffer.alloc(32, 1)));
const log = { warn: () => undefined } as unknown as FastifyBaseLogger;

async function startBeside(t: TestContext, place: ServerPlace): Promise<void> {
  const store = openSqliteStore(join(temporaryFolder(t), 'nango.db'));
  t.after(() => store.close());
  await store.migrate();
  await store.recordServer({ id: 'other', name: 'the other', keyIds: vault.keyIds, place });
  const presence = new ServerPresence({ store, vault, log, place: OWN });
  t.after(() => presence.stop());
  await presence.start();
}

test('S5: servers of one machine and version share the embedded store', (t) =>
  startBeside(t, { ...OWN, pid: process.ppid }));

test('S5: a running server of another machine or version prevents this one from starting, and is named', async (t) => {
  for (const place of [
    { ...OWN, host: 'elsewhere' },
    { ...OWN, pid: process.ppid, version: '1.0.0' },
  ])
    await assert.rejects(startBeside(t, place), {
      code: 'store_unavailable',
      message: /in use by the other, version [12]\.0\.0\. Only servers of one machine and one version can share it/,
    });
});

test('S5: a server of this machine that was killed does not prevent others from starting', async (t) => {
  // No process has this number, because it exceeds the largest that systems assign.
  await startBeside(t, { ...OWN, pid: 2 ** 30, version: '1.0.0' });
  await startBeside(t, { ...OWN, version: '1.0.0' });
});

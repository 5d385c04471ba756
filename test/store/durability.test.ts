import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import Nango from '@nangohq/node-client';
import { freePort } from '../support/free-port.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { runCli, startServerProcess } from '../support/server-process.ts';
import { createCleanup, temporaryFolder } from '../support/temporary-folder.ts';

const INTEGRATIONS = `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://api.example.com/', headers: { X-Key: '\${api_key}' } }
`;
const KEYS = { NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY, NANGO_SECRET_KEY: SECRET_KEY };
const ROUNDS = 3;

async function setUp(t: TestContext, environment: Record<string, string>) {
  const port = await freePort();
  const root = temporaryFolder(t, {
    'nango-integrations/integrations.yaml': INTEGRATIONS,
    'nango-integrations/nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: http://localhost:${port}\n`,
  });
  const folder = join(root, 'nango-integrations');
  const url = `http://localhost:${port}`;
  return {
    root,
    folder,
    url,
    dataDirectory: join(root, '.nango'),
    start: (more: Record<string, string> = {}) =>
      startServerProcess(t, { folder, url, environment: { ...environment, ...more } }),
  };
}

let postgres: TestPostgres;
const cleanup = createCleanup();
before(async () => {
  postgres = await startPostgres(cleanup);
});
after(() => cleanup.run());

for (const [name, environmentOf] of [
  ['SQLite', async () => ({ ...KEYS })],
  ['PostgreSQL', async () => ({ ...KEYS, DATABASE_URL: await postgres.createDatabase() })],
] as const) {
  test(`S4: kill -9 at any moment loses no acknowledged connection (${name})`, async (t) => {
    const { start, url } = await setUp(t, await environmentOf());
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const server = await start();
      const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
      // Writers continue until the server is gone, so the kill interrupts a write.
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let count = 0; ; count += 1) {
          const userId = `${round}-${writer}-${count}`;
          const done = await nango.registerConnection('keyed', userId, { api_key: `key-${userId}` }).then(
            () => true,
            () => false,
          );
          if (!done) return;
          acknowledged.push(userId);
          if (acknowledged.length === (round + 1) * 60) void server.kill();
        }
      });
      await Promise.all(writers);
      await server.kill();
    }
    const server = await start();
    const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
    const stored = new Set((await nango.getConnectionsForIntegration('keyed')).returnValue.map(({ userId }) => userId));
    assert.ok(acknowledged.length >= ROUNDS * 60);
    assert.deepEqual(
      acknowledged.filter((userId) => !stored.has(userId)),
      [],
    );
    const last = acknowledged.at(-1) ?? '';
    assert.equal((await nango.getConnection('keyed', last)).returnValue.credentials['api_key'], `key-${last}`);
    assert.equal(await server.stop(), 0);
  });

  test(`S1: another encryption key stops the start, and the message says what to do (${name})`, async (t) => {
    const environment = await environmentOf();
    const { start, folder } = await setUp(t, environment);
    await (await start()).stop();
    const { code, stderr } = await runCli(['start', '--folder', folder], {
      environment: { ...environment, NANGO_ENCRYPTION_KEY: Buffer.alloc(32, 8).toString('base64') },
    });
    assert.equal(code, 1);
    assert.match(stderr, /not the key that sealed this database.*NANGO_ENCRYPTION_KEY/s);
    await (await start()).stop();
  });
}

describe('keys of the embedded store', () => {
  test('S1: the keys are made once, private, announced once, and never replaced', async (t) => {
    const { start, dataDirectory, folder } = await setUp(t, {});
    const first = await start();
    // The server responds to requests a moment before it logs that.
    await first.printed(/Back it up.*encryption\.key/);
    await first.stop();
    const key = readFileSync(join(dataDirectory, 'encryption.key'), 'utf8');
    const second = await start();
    await second.printed(/Nango is ready/);
    await second.stop();
    assert.doesNotMatch(second.output(), /Back it up/);
    assert.equal(readFileSync(join(dataDirectory, 'encryption.key'), 'utf8'), key);
    assert.equal(readFileSync(join(dataDirectory, '.gitignore'), 'utf8'), '*\n');

    chmodSync(join(dataDirectory, 'encryption.key'), 0o644);
    const exposed = await start();
    await exposed.printed(/Other users of this machine can read.*chmod 600/);
    await exposed.stop();

    rmSync(join(dataDirectory, 'encryption.key'));
    const missing = await runCli(['start', '--folder', folder]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /key file .* is missing/);
    assert.ok(!readdirSync(dataDirectory).includes('encryption.key'));

    writeFileSync(join(dataDirectory, 'encryption.key'), 'short');
    const short = await runCli(['start', '--folder', folder]);
    assert.equal(short.code, 1);
    assert.match(short.stderr, /must hold 32 random bytes/);
  });

  test('S1: PostgreSQL requires both keys from the environment', async (t) => {
    const { folder } = await setUp(t, {});
    const DATABASE_URL = 'postgresql://localhost:1/x';
    assert.match(
      (await runCli(['start', '--folder', folder], { environment: { DATABASE_URL } })).stderr,
      /NANGO_ENCRYPTION_KEY must be set/,
    );
    assert.match(
      (
        await runCli(['start', '--folder', folder], {
          environment: { DATABASE_URL, NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY },
        })
      ).stderr,
      /NANGO_SECRET_KEY must be set/,
    );
  });

  test('S4: a dead database at start is a clear error without its password', async (t) => {
    const { folder } = await setUp(t, {});
    const { code, stderr } = await runCli(['start', '--folder', folder], {
      environment: { ...KEYS, DATABASE_URL: 'postgresql://u:pw-CANARY@127.0.0.1:1/x' },
    });
    assert.equal(code, 1);
    assert.match(stderr, /database.*ECONNREFUSED/);
    assert.ok(!stderr.includes('CANARY'));
  });

  test('S4: a database file of another kind, or one that cannot be written, is a clear error', async (t) => {
    const { folder, dataDirectory, start } = await setUp(t, KEYS);
    await (await start()).stop();
    for (const suffix of ['-wal', '-shm']) rmSync(join(dataDirectory, `nango.db${suffix}`), { force: true });
    writeFileSync(
      join(dataDirectory, 'nango.db'),
      'this is no database, it is only text that is long enough to be read as one'.repeat(50),
    );
    const { code, stderr } = await runCli(['start', '--folder', folder], { environment: KEYS });
    assert.equal(code, 1);
    assert.match(stderr, /nango\.db cannot be opened.*not a database/);
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Nango from '@nangohq/node-client';
import { freePort } from '../support/free-port.ts';
import { listen } from '../support/listen.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { cleanEnvironment, runCli } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const CLI = join(import.meta.dirname, '../../packages/server/bin/nango.js');
const INTEGRATIONS = `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    requests: { base_url: 'https://a.example/', headers: { X-Key: '\${api_key}' } }
`;
const fullDisk = existsSync('/dev/full') ? false : 'this system has no /dev/full';

/** A server process that writes its output where the test says. */
async function start(t: TestContext, { config = '', stdio }: { config?: string; stdio: 'pipe' | number }) {
  const port = await freePort();
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: http://localhost:${port}\n${config}`,
    'integrations.yaml': INTEGRATIONS,
  });
  const environment = {
    NANGO_SECRET_KEY: SECRET_KEY,
    NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
    NANGO_DATA_DIR: join(folder, 'data'),
  };
  const child = spawn(process.execPath, [CLI, 'start', '--folder', folder], {
    env: cleanEnvironment(environment),
    stdio: ['ignore', stdio, stdio],
  });
  t.after(() => void child.kill('SIGKILL'));
  const url = `http://localhost:${port}`;
  const isReady = () =>
    fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) assert.equal(child.exitCode, null);
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  const stop = async () => {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    return (await ended)[0] as number | null;
  };
  return { child, nango, stop };
}

async function registerMany(nango: Nango): Promise<void> {
  for (let user = 0; user < 50; user += 1) await nango.registerConnection('keyed', String(user), { api_key: 'k' });
  assert.equal((await nango.getConnection('keyed', '49')).returnValue.userId, '49');
}

test(
  'D6: with its log on a full disk the server serves requests, and stops on request',
  { skip: fullDisk },
  async (t) => {
    const { nango, stop } = await start(t, {
      config: 'main_server_log_level: trace\n',
      stdio: openSync('/dev/full', 'w'),
    });
    await registerMany(nango);
    assert.equal(await stop(), 0);
  },
);

test('D6: with its audit log on a full disk changes get their usual responses', { skip: fullDisk }, async (t) => {
  const { child, nango, stop } = await start(t, { config: 'audit_log_file: /dev/full\n', stdio: 'pipe' });
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await registerMany(nango);
  assert.equal(await stop(), 0);
  assert.equal(output.match(/the audit log cannot be written/g)?.length, 1);
});

test('D6: a server whose log has no reader serves requests, and stops on request', async (t) => {
  const { child, nango, stop } = await start(t, { stdio: 'pipe' });
  child.stderr?.destroy();
  child.stdout?.destroy();
  await registerMany(nango);
  assert.equal(await stop(), 0);
});

for (const workers of [[], ['--workers', '2']])
  test(`a port in use ends the start with an error ${workers.join(' ')}`, async (t) => {
    const port = await listen(t, createServer());
    const folder = temporaryFolder(t, { 'integrations.yaml': INTEGRATIONS });
    const { code, stderr } = await runCli(['start', '--folder', folder, '--port', String(port), ...workers]);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`cannot listen on localhost:${port}\\. Another program uses this port`));
  });

test('a command ends quietly if the reader of its results closes the pipe', async () => {
  const command = 'set -o pipefail; "$0" "$1" blueprints search | head -n 1';
  const child = spawn('bash', ['-c', command, process.execPath, CLI], { env: cleanEnvironment() });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  assert.deepEqual([code, stderr], [0, '']);
});

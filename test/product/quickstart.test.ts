import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startApp } from '../../examples/quickstart/app.ts';
import { freePort } from '../support/free-port.ts';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { cleanEnvironment } from '../support/server-process.ts';

const run = promisify(execFile);
const START = join(import.meta.dirname, '../../examples/quickstart/start.ts');

test('npm start -- --check walks the whole flow', { timeout: 60_000 }, async () => {
  const { stdout } = await run(process.execPath, [START, '--check'], { env: cleanEnvironment() });
  assert.equal(stdout.match(/^✓ /gm)?.length, 8, stdout);
  assert.ok(!stdout.includes('✗'));
});

test('an unknown flag exits with 2 and shows the help', async () => {
  await assert.rejects(run(process.execPath, [START, '--chek'], { env: cleanEnvironment() }), {
    code: 2,
    stderr: /Unknown flag --chek[^]*--check/,
  });
});

test('npm start names the parts that run on another port than usual', { timeout: 60_000 }, async (t) => {
  const occupant = createServer();
  // Another process may have the port already, which is fine too.
  occupant.once('error', () => undefined).listen(3000, 'localhost');
  t.after(() => occupant.close());
  const child = spawn(process.execPath, [START], { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  t.after(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  let output = '';
  for await (const chunk of child.stdout) {
    output += String(chunk);
    if (/Stop with Ctrl-C/.test(output)) break;
  }
  const [, port] = /Port 3000 is in use\. The application runs on (\d+) instead\./.exec(output) ?? [];
  assert.match(output, new RegExp(`Open http://localhost:${port} and click Connect`));
});

test('the page may poll each second without a read of credentials each time', async (t) => {
  const integrations = `integrations:\n  sandbox:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: 'https://a.example/' }\n`;
  const server = await startTestServer(t, { integrations });
  const port = await freePort();
  const app = await startApp({ port, serverUrl: server.url, secretKey: SECRET_KEY });
  t.after(() => app.close());
  const show = async () =>
    (await fetch(`http://localhost:${port}/connection`)).json() as Promise<{ connection: object }>;
  assert.equal((await show()).connection, null);
  await server.nango.registerConnection('sandbox', '1', { api_key: 'k' });
  while ((await show()).connection === null);
  const reads = () => server.log().match(/"action":"credentials.read"/g)?.length ?? 0;
  const before = reads();
  for (let index = 0; index < 5; index += 1) await show();
  assert.equal(reads(), before);
});

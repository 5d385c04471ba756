import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { DeclaredCredentials } from '@nangohq/node-client';
import { test, type TestContext } from 'node:test';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { cleanEnvironment } from '../support/server-process.ts';

const CLI = join(import.meta.dirname, '../../packages/server/bin/nango.js');
/** The `script` program of util-linux. Other systems have a different program of that name. */
const hasTerminal = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

const INTEGRATIONS = `integrations:
  basic:
    auth: { auth_mode: USERNAME_PASSWORD }
    requests: { base_url: 'https://a.example/', headers: { Authorization: 'Basic \${basic_auth_encoded}' } }
  key-as-user:
    auth:
      auth_mode: USERNAME_PASSWORD
      credentials: { username: { label: API key }, password: { label: Password, optional: true } }
    requests: { base_url: 'https://a.example/', headers: { Authorization: 'Basic \${basic_auth_encoded}' } }
`;

/** Runs a command on a terminal, and responds to each prompt. Resolves to everything that was shown. */
async function onTerminal(
  t: TestContext,
  { parameters, url, answers }: { parameters: readonly string[]; url: string; answers: [RegExp, string][] },
) {
  // A terminal without a size would wrap after each letter.
  const words = [process.execPath, CLI, ...parameters].map((word) => `'${word}'`);
  const command = `stty columns 120 rows 40; ${words.join(' ')}`;
  const child = spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
    env: cleanEnvironment({ NANGO_SERVER_URL: url, NANGO_SECRET_KEY: SECRET_KEY, TERM: 'xterm' }),
  });
  t.after(() => child.kill());
  let shown = '';
  let from = 0;
  const left = [...answers];
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    const [next] = left;
    if (!next?.[0].test(shown.slice(from))) return;
    from = shown.length;
    left.shift();
    child.stdin.write(`${next[1]}\r`);
  });
  await once(child, 'close');
  return { code: child.exitCode, shown };
}

test('nango connect prompts for user name and password, and hides the password', { skip: !hasTerminal }, async (t) => {
  const server = await startTestServer(t, { integrations: INTEGRATIONS });
  const { code, shown } = await onTerminal(t, {
    parameters: ['connect', 'basic', '1'],
    url: server.url,
    answers: [
      [/User name/, 'ada'],
      [/Password/, 'CANARY'],
    ],
  });
  assert.equal(code, 0, shown);
  assert.match(shown, /ada/);
  assert.doesNotMatch(shown, /CANARY/);
  const { username, password } = (await server.nango.getConnection('basic', '1')).returnValue.credentials;
  assert.deepEqual([username, password], ['ada', 'CANARY']);
});

test('a field that a Blueprint calls optional may be left empty', { skip: !hasTerminal }, async (t) => {
  const server = await startTestServer(t, { integrations: INTEGRATIONS });
  const { code, shown } = await onTerminal(t, {
    parameters: ['connect', 'key-as-user', '1'],
    url: server.url,
    answers: [
      [/API key/, 'CANARY'],
      [/Password \(may be empty\)/, ''],
    ],
  });
  assert.equal(code, 0, shown);
  const { username, password } = (await server.nango.getConnection('key-as-user', '1')).returnValue.credentials;
  assert.deepEqual([username, password], ['CANARY', '']);
});

test('forms say that user name and password are required, unless a Blueprint says otherwise', async (t) => {
  const { nango } = await startTestServer(t, { integrations: INTEGRATIONS });
  const { integrations } = (await nango.connect()).returnValue;
  assert.deepEqual(
    integrations.map(({ credentials }) => credentials),
    [
      { username: { label: 'User name', secret: false }, password: { label: 'Password' } },
      { username: { label: 'API key' }, password: { label: 'Password', optional: true } },
    ],
  );
  await assert.rejects(
    nango.registerConnection<DeclaredCredentials>('basic', '1', { username: 'ada' }),
    /password \(Password\) is required/,
  );
  await nango.registerConnection('basic', '1', { username: 'ada', password: '' });
  await nango.registerConnection<DeclaredCredentials>('key-as-user', '1', { username: 'key' });
});

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.ts';
import { cleanEnvironment } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

const APPLICATION = `import Nango from '@nangohq/node-client';
import { createRequire } from 'node:module';
import { spawn } from 'node:child_process';
const port = process.argv[2];
const manifest = createRequire(import.meta.url).resolve('@nangohq/server/package.json');
const cli = manifest.replace('package.json', 'bin/nango.js');
const server = spawn(process.execPath, [cli, 'start', '--port', port], { stdio: 'inherit' });
try {
  const nango = new Nango({ serverUrl: 'http://localhost:' + port, secretKey: 'key' });
  for (;;) { try { await nango.connect(); break; } catch { await new Promise((resolve) => setTimeout(resolve, 50)); } }
  await nango.registerConnection('example', '1', { api_key: 'k' });
  const { returnValue } = await nango.triggerAction('example', 'hello', '1', { name: 'Ada' });
  const required = createRequire(import.meta.url)('@nangohq/node-client').default;
  console.log(JSON.stringify({ returnValue, same: typeof required === 'function' }));
} finally {
  server.kill();
}
`;

const ACTION = `import { NangoAction } from '@nangohq/action';
class ExampleHelloAction extends NangoAction {
  override async executeAction(input: { name: string }) {
    return { text: \`Hello \${input.name}\`, userId: (await this.getCurrentConnection()).userId };
  }
}
export { ExampleHelloAction };
`;

const TYPES = `import Nango, { type Connection } from '@nangohq/node-client';
import Frontend from '@nangohq/frontend';
const nango = new Nango({ secretKey: 'x' });
const connections: Promise<{ success: true; returnValue: Connection[] }> = nango.getConnectionsForUserId('1');
const connected: Promise<{ integrationName: string; userId: string }> = new Frontend('http://localhost:3003').connect('slack', '1');
export { connections, connected };
`;

test('the tarballs install and work in a project outside the workspace', { timeout: 180_000 }, async (t) => {
  const tarballs = temporaryFolder(t);
  await run(process.execPath, [join(root, 'scripts/pack.ts'), tarballs]);
  const files = readdirSync(tarballs).filter((file) => file.endsWith('.tgz'));
  assert.equal(files.length, 4);

  // On the public registry this scope is not ours, so nothing of it may be fetched from there.
  for (const name of ['server', 'node-client', 'frontend', 'action']) {
    const { dependencies = {} } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as {
      dependencies?: object;
    };
    assert.deepEqual(
      Object.keys(dependencies).filter((dependency) => dependency.startsWith('@nangohq/')),
      [],
      name,
    );
  }

  const project = temporaryFolder(t, {
    'package.json': '{ "name": "outside", "private": true, "type": "module" }',
    'app.js': APPLICATION,
    'types.ts': TYPES,
    'nango-integrations/example/hello.action.ts': ACTION,
  });
  const env = cleanEnvironment({
    NANGO_SECRET_KEY: 'key',
    PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
  });
  const install = [
    'install',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--prefer-offline',
    ...files.map((file) => join(tarballs, file)),
  ];
  await run('npm', install, { cwd: project, env });

  const nango = (...parameters: string[]) =>
    run('npx', ['--no-install', 'nango', ...parameters], { cwd: project, env });
  await nango('init');
  assert.match((await nango('validate')).stderr, /The configuration is valid/);
  const { stdout } = await run(process.execPath, ['app.js', String(await freePort())], { cwd: project, env });
  assert.deepEqual(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), {
    returnValue: { text: 'Hello Ada', userId: '1' },
    same: true,
  });

  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--lib',
    'es2024,dom',
    '--types',
    '',
  ];
  await run(process.execPath, [tsc, ...options, 'types.ts', 'nango-integrations/example/hello.action.ts'], {
    cwd: project,
    env,
  });
});

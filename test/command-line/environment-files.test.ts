import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openEnvironmentFiles } from '../../packages/server/src/config/environment-files.ts';
import { freePort } from '../support/free-port.ts';
import { runCli, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const KEYED = `  keyed:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: 'https://a.example/' }\n`;
const NEEDY = `${KEYED}    app_api_key: \${APP_KEY}\n`;

/** A project with a Nango folder, and a way to run commands in it. */
async function setUp(t: TestContext, integrations: string, more: Record<string, string> = {}) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const project = temporaryFolder(t, {
    'nango-integrations/nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'nango-integrations/integrations.yaml': `integrations:\n${integrations}`,
    ...more,
  });
  return {
    project,
    url,
    cli: (parameters: readonly string[], options: { cwd?: string; environment?: Record<string, string> } = {}) =>
      runCli(parameters, { cwd: project, ...options }),
    start: (environment: Record<string, string> = {}) =>
      startServerProcess(t, { folder: join(project, 'nango-integrations'), url, environment }),
    write: (name: string, text: string) => writeFileSync(join(project, name), text),
  };
}

async function until<T>(read: () => Promise<T> | T, isDone: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read();
    if (isDone(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('client commands need only the address and the key, and no Integration or its variables', async (t) => {
  const { project, url, cli, start, write } = await setUp(t, NEEDY, { '.env': 'APP_KEY=k\n' });
  await start();
  write('.env', '');
  write('nango-integrations/integrations.yaml', 'integrations: [this is not right\n');
  for (const parameters of [['connections', 'list'], ['events'], ['webhooks', 'dead']])
    assert.equal((await cli(parameters)).code, 0, parameters.join(' '));
  const environment = {
    NANGO_SERVER_URL: url,
    NANGO_SECRET_KEY: readFileSync(join(project, '.nango/secret.key'), 'utf8').trim(),
  };
  const elsewhere = await cli(['connections', 'list'], { cwd: temporaryFolder(t), environment });
  assert.equal(elsewhere.code, 0, elsewhere.stderr);
});

test('C1: .env beside the Nango folder adds missing variables, and is read again while the server runs', async (t) => {
  const { project, cli, start, write } = await setUp(t, NEEDY);
  const missing = await cli(['validate']);
  assert.equal(missing.code, 1);
  assert.match(
    missing.stderr,
    /integrations\.yaml:5:5 integrations\.keyed\.app_api_key: environment variable APP_KEY is not set/,
  );
  write('.env', '\uFEFF# of the application\nexport APP_KEY="k CANARY"\n');
  assert.equal((await cli(['validate'])).code, 0);
  assert.equal((await cli(['validate'], { environment: { APP_KEY: '' } })).code, 1, 'the process wins');
  const server = await start();
  write('nango-integrations/integrations.yaml', `integrations:\n${NEEDY}    log_level: \${LATER}\n`);
  await until(
    () => server.output(),
    (output) => output.includes('environment variable LATER is not set'),
  );
  write('.env', 'APP_KEY=CANARY\nLATER=debug\n');
  await until(
    () => server.output(),
    (output) => output.includes('configuration reloaded'),
  );
  assert.doesNotMatch(server.output(), /CANARY/);
  assert.match(server.output(), new RegExp(`Other users of this machine can read ${project}/.env. Make it private`));
});

test('--env-file names files in place of .env, later files have precedence, and each file must exist', async (t) => {
  const { cli, write } = await setUp(t, NEEDY, { '.env': 'APP_KEY=k\n' });
  write('a.env', 'OTHER=1\n');
  write('b.env', 'APP_KEY=k\n');
  assert.equal((await cli(['validate', '--env-file', 'a.env'])).code, 1);
  assert.equal((await cli(['validate', '--env-file', 'a.env', '--env-file', 'b.env'])).code, 0);
  const absent = await cli(['validate', '--env-file', 'absent.env']);
  // Node itself may have looked for the file before, and ended the process.
  assert.notEqual(absent.code, 0);
  assert.match(absent.stderr, /absent\.env.*(does not exist|not found)/);
});

test('DATABASE_URL of a .env that no flag names is not used, and a warning says so', (t) => {
  const folder = join(temporaryFolder(t, { '.env': 'DATABASE_URL=postgresql://app\nA=1\n' }), 'nango-integrations');
  const found = openEnvironmentFiles({ folder, named: undefined, processEnvironment: { B: 'p' } });
  assert.deepEqual([found.get('DATABASE_URL'), found.get('A'), found.get('B')], [undefined, '1', 'p']);
  assert.ok(found.notices.some((notice) => /^DATABASE_URL in .* is not used/.test(notice)));
  const [path = ''] = found.paths;
  chmodSync(path, 0o600);
  const named = openEnvironmentFiles({ folder, named: [path], processEnvironment: {} });
  assert.deepEqual([named.get('DATABASE_URL'), named.notices], ['postgresql://app', []]);
});

test('the Nango folder is found from a folder below, and nango init makes one in the current folder', async (t) => {
  const { project, cli } = await setUp(t, KEYED);
  const below = join(project, 'src/deep');
  mkdirSync(below, { recursive: true });
  assert.equal((await cli(['validate'], { cwd: below })).code, 0);
  assert.equal((await cli(['validate'], { cwd: join(project, 'nango-integrations') })).code, 0);
  const made = await cli(['init'], { cwd: below });
  assert.match(made.stderr, /\+ nango-integrations\/integrations\.yaml/);
  assert.match(readFileSync(join(below, '.gitignore'), 'utf8'), /^\.env$/m);
});

test('nango init suggests commands for the folder that it made, and names a .gitignore that lacks .env', async (t) => {
  const cwd = temporaryFolder(t, { '.gitignore': 'dist\n' });
  const { stderr } = await runCli(['init', '-f', "other's"], { cwd });
  assert.match(stderr, /npx nango validate --folder 'other'\\''s'\n {2}npx nango start --folder 'other'\\''s'/);
  assert.match(stderr, /Add \.env to \.gitignore/);
  assert.equal(readFileSync(join(cwd, '.gitignore'), 'utf8'), 'dist\n');
});

test('blueprints add says whether the running server has loaded the Integration, and what it lacks', async (t) => {
  const { project, cli, start, write } = await setUp(t, KEYED);
  await start();
  const lacking = await cli(['blueprints', 'add', 'github', '--client-id', 'id', '--scopes', 'repo']);
  assert.equal(lacking.code, 0, lacking.stderr);
  assert.match(
    lacking.stderr,
    /The running server has not loaded github.* It lacks the variable GITHUB_CLIENT_SECRET\. It reads \S+\.env again/,
  );
  write('.env', 'GITHUB_CLIENT_SECRET=s\n');
  chmodSync(join(project, '.env'), 0o600);
  const taken = await cli([
    'blueprints',
    'add',
    'github',
    '--as',
    'gh',
    '--client-id',
    'id',
    '--client-secret',
    'GITHUB_CLIENT_SECRET',
    '--scopes',
    'repo',
  ]);
  assert.match(taken.stderr, /The running server has loaded gh\./);
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatTable } from '../../packages/server/src/cli/terminal.ts';
import { SECRET_KEY, startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { runCli } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { UserAgent } from '../support/user-agent.ts';

test('init scaffolds a folder that validates, and overwrites nothing', async (t) => {
  const cwd = temporaryFolder(t);
  const first = await runCli(['init'], { cwd });
  assert.equal(first.code, 0, first.stderr);
  for (const file of ['nango-config.yaml', 'integrations.yaml', 'tsconfig.json', 'example/list-items.action.ts'])
    assert.ok(existsSync(join(cwd, 'nango-integrations', file)), file);
  assert.match(
    readFileSync(join(cwd, 'nango-integrations/integrations.yaml'), 'utf8'),
    /^# yaml-language-server: \$schema=/,
  );
  assert.equal((await runCli(['validate'], { cwd })).code, 0);
  writeFileSync(join(cwd, 'nango-integrations/integrations.yaml'), 'integrations: {}\n');
  assert.match((await runCli(['init'], { cwd })).stderr, /integrations\.yaml already exists and was not changed/);
  assert.equal(readFileSync(join(cwd, 'nango-integrations/integrations.yaml'), 'utf8'), 'integrations: {}\n');
});

test('validate lists all errors with file, line and key, and exits with 1', async (t) => {
  const cwd = temporaryFolder(t, {
    'nango-integrations/integrations.yaml':
      'integrations:\n  a: { auth: { auth_mode: NONE } }\n  b: { extends_blueprint: slak }\n',
    'nango-integrations/nango-config.yaml': 'oauth_server_prot: 1\n',
  });
  const { code, stdout, stderr } = await runCli(['validate'], { cwd });
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /nango-integrations\/integrations\.yaml:2:16 integrations\.a\.auth\.auth_mode: must be one of/);
  assert.match(stderr, /integrations\.yaml:3:8 integrations\.b\.extends_blueprint/);
  assert.match(
    stderr,
    /nango-config\.yaml:1:1 oauth_server_prot: is not a known key\. Did you mean "oauth_server_port"\?/,
  );
  assert.ok(!stderr.includes('\u001b['), 'colours in a pipe');
  const json = await runCli(['validate', '--json'], { cwd });
  assert.equal(json.code, 1);
  assert.equal((JSON.parse(json.stdout) as { faults: unknown[] }).faults.length, 3);
});

test('wrong usage exits with 2 and points to the help; --help exits with 0', async () => {
  const wrong = await runCli(['strat']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /Did you mean start/);
  assert.equal((await runCli(['connections', 'show', 'slack'])).code, 2);
  for (const parameters of [['--help'], ['start', '--help'], ['connections', 'list', '--help']]) {
    const help = await runCli(parameters);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Usage: nango/);
  }
});

test('every wrong call exits with 2 and points to the help of that command', async (t) => {
  const cwd = temporaryFolder(t, { 'nango-integrations/integrations.yaml': 'integrations: {}\n' });
  const run = async (...parameters: string[]) => runCli(parameters, { cwd });
  for (const [parameters, expected] of [
    [['connections', 'foo'], /\(nango connections --help shows the commands\)/],
    [['connections', 'show', 'a'], /\(nango connections show --help shows its arguments and options\)/],
    [['blueprints', 'search', '--category', 'nope'], /There is no category "nope"\. Categories: accounting, ai, /],
    [['blueprints', 'new', 'x'], /--authorization-url is required/],
    [['blueprints', 'new', 'a b'], /cannot be a Blueprint’s name/],
    [['blueprints', 'add', 'github', '--client-id', 'a', '--client-secret', 'not a name'], /environment variable/],
    [['trigger', 'a', 'b', 'c', '--input', '{'], /--input is not JSON/],
    [['import', 'x', '--existing', 'maybe'], /Allowed choices are fail, skip, replace/],
  ] as const) {
    const { code, stdout, stderr } = await run(...parameters);
    assert.deepEqual([code, stdout], [2, ''], parameters.join(' '));
    assert.match(stderr, expected);
  }
  assert.match((await run('blueprints', 'categories')).stdout, /^CATEGORY +BLUEPRINTS\naccounting +\d+\n/);
});

test('with --json a failure is JSON on stdout, like the response of the API', async (t) => {
  const cwd = temporaryFolder(t, { 'nango-integrations/integrations.yaml': 'integrations: [\n' });
  const failureOf = async (...parameters: string[]) => {
    const { code, stdout, stderr } = await runCli(parameters, {
      cwd,
      environment: { NANGO_SERVER_URL: 'http://localhost:1', NANGO_SECRET_KEY: SECRET_KEY },
    });
    assert.deepEqual([code, stderr], [1, '']);
    return (JSON.parse(stdout) as { error: { type: string; message: string; faults?: { line: number }[] } }).error;
  };
  assert.deepEqual(await failureOf('keys', 'check', '--json'), {
    type: 'store_not_ready',
    message:
      `The database ${join(cwd, '.nango/nango.db')} does not exist. ` +
      'Start a server first, or name another --data-dir.',
  });
  assert.equal((await failureOf('blueprints', 'show', 'nope', '--json')).type, 'not_found');
  const misused = await runCli(['connections', 'show', 'a', '--json'], { cwd });
  assert.equal(misused.code, 2);
  assert.match(
    misused.stdout,
    /^\{"error":\{"type":"invalid_request","message":"error: missing required argument 'userId'"\}\}\n$/,
  );
  assert.match((await failureOf('connections', 'list', '--json')).message, /could not be reached/);
  const { type, faults } = await failureOf('import', 'x.json', '--json');
  assert.deepEqual([type, faults?.[0]?.line], ['invalid_config', 2]);
});

test('messages name files by their system path, in plain words, and never quote a parser or a schema', async (t) => {
  const cwd = temporaryFolder(t, {
    'project/nango-integrations/integrations.yaml': 'integrations: [\n',
    'project/other/integrations.yaml': `integrations:\n  a: { auth: { auth_mode: API_KEY }, requests: { base_url: 'https://a.example/' } }\n`,
    'api.json': '{"openapi":"3.0.0"}',
    'in.json': '[{"integration":"a","userId":1},3]',
    file: '',
  });
  const project = join(cwd, 'project');
  const run = async (...parameters: string[]) => (await runCli(parameters, { cwd: project })).stderr;
  assert.match(await run('validate'), /^nango-integrations\/integrations\.yaml:2:1 /);
  const elsewhere = await runCli(['validate', '-f', 'project/nango-integrations'], { cwd });
  assert.match(elsewhere.stderr, /^project\/nango-integrations\/integrations\.yaml:2:1 /);
  const outside = await runCli(['validate', '-f', 'nango-integrations'], {
    cwd: project,
    environment: { PWD: project },
  });
  assert.match(outside.stderr, /^nango-integrations\/integrations\.yaml:2:1 /);
  assert.ok((await run('validate', '-f', '../nowhere')).startsWith(`${join(cwd, 'nowhere/integrations.yaml')}:1:1 `));
  assert.match(
    await run('blueprints', 'add', 'airtable'),
    /^nango-integrations\/integrations\.yaml:2:1 The file is not valid YAML: [^\n]*\n$/,
  );
  assert.match(await run('blueprints', 'check', '/nope.yaml'), /\/nope\.yaml does not exist/);
  assert.match(await run('init', '-f', '../file/x'), /a part of that path is a file, not a folder/);
  assert.match(
    await run('blueprints', 'new', 'x', '--openapi', '../api.json'),
    /not an OpenAPI 3 document: components is required/,
  );
  const imported = await run('import', '-f', 'other', '../in.json', '--dry-run');
  assert.match(
    imported,
    /line 1: userId must be text, not a number; credentials is required\n {2}line 2: it must be a map, not a number/,
  );
});

test('tables fit the terminal, and wrap inside their columns', () => {
  const rows = [
    ['NAME', 'ABOUT'],
    ['one', 'a sentence that is too long'],
  ];
  assert.equal(formatTable(rows), 'NAME  ABOUT\none   a sentence that is too long');
  assert.equal(formatTable(rows, 20), 'NAME  ABOUT\none   a sentence\n      that is too\n      long');
  for (const line of formatTable([['x'.repeat(50), 'y'.repeat(50)]], 40).split('\n'))
    assert.ok(line.length <= 40, line);
});

test('connections, connect and trigger work against a running server', async (t) => {
  const provider = await startScriptedProvider(t, ({ path }) =>
    path === '/token' ? { body: { access_token: 'at-CANARY' } } : { body: { ok: true } },
  );
  const action = `import { NangoAction } from '@nangohq/action';
export class AcmeEchoAction extends NangoAction {
  override async executeAction(input: unknown) { return { input }; }
}
`;
  const server = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration(provider.url)}`,
    files: { 'acme/echo.action.ts': action },
  });
  const environment = { NANGO_SERVER_URL: server.url, NANGO_SECRET_KEY: SECRET_KEY };
  const cli = (...parameters: string[]) => runCli(parameters, { environment });

  assert.match((await cli('connections', 'list')).stderr, /no connections yet/);

  let printed = (_address: string) => {};
  const address = new Promise<string>((resolve) => (printed = resolve));
  const connecting = runCli(['connect', 'acme', 'user 1'], {
    environment,
    onStderr(text) {
      const [found] = /http:\S+attempt=\S+/.exec(text) ?? [];
      if (found) printed(found);
    },
  });
  const agent = new UserAgent();
  const location = await agent.confirm(await address);
  await agent.request(`${server.url}/oauth/callback?code=c&state=${new URL(location).searchParams.get('state')}`);
  const connected = await connecting;
  assert.equal(connected.code, 0, connected.stderr);
  assert.match(connected.stderr, /http:\/\/localhost:\d+\/oauth\/connect\/acme\?attempt=/);

  const list = await cli('connections', 'list', '--json');
  assert.deepEqual(
    (JSON.parse(list.stdout) as { userId: string }[]).map(({ userId }) => userId),
    ['user 1'],
  );
  const hidden = await cli('connections', 'show', 'acme', 'user 1');
  assert.ok(hidden.stdout.includes('[secret]') && !hidden.stdout.includes('CANARY'));
  const starts = hidden.stdout
    .trimEnd()
    .split('\n')
    .map((line) => /^\S+ +/.exec(line)?.[0].length);
  assert.equal(new Set(starts).size, 1, hidden.stdout);
  assert.ok((await cli('connections', 'show', 'acme', 'user 1', '--show-secrets')).stdout.includes('at-CANARY'));

  assert.deepEqual(JSON.parse((await cli('trigger', 'acme', 'echo', 'user 1', '--input', '{"a":[1]}')).stdout), {
    input: { a: [1] },
  });
  const piped = await runCli(['trigger', 'acme', 'echo', 'user 1', '--input', '-'], { environment, input: '"in"' });
  assert.deepEqual(JSON.parse(piped.stdout), { input: 'in' });
  const broken = await cli('trigger', 'acme', 'echo', 'user 1', '--input', '{');
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /--input is not JSON/);

  assert.equal((await cli('connections', 'delete', 'acme', 'user 1')).code, 0);
  const gone = await cli('connections', 'show', 'acme', 'user 1');
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /has no connection/);
  const wrongKey = await runCli(['connections', 'list'], {
    environment: { ...environment, NANGO_SECRET_KEY: 'wrong' },
  });
  assert.equal(wrongKey.code, 1);
  assert.match(wrongKey.stderr, /secret key is wrong/);
});

test('events and webhooks list what happened and what was not delivered, and deliver it again', async (t) => {
  const statuses = [410, 204];
  const asked: (() => void)[] = [];
  const receiver = await startScriptedProvider(t, () => {
    asked.shift()?.();
    return { status: statuses.shift() ?? 500, body: '' };
  });
  const arrival = () => new Promise<void>((resolve) => asked.push(resolve));
  const server = await startTestServer(t, {
    integrations: `integrations:\n  keyed:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: 'https://a.example/' }\n`,
    config: `webhooks:
  app: { url: '${receiver.url}/hook', secret: 'whsec_${Buffer.alloc(32, 1).toString('base64')}' }`,
  });
  const environment = { NANGO_SERVER_URL: server.url, NANGO_SECRET_KEY: SECRET_KEY };
  const cli = (...parameters: string[]) => runCli(parameters, { environment });
  assert.match((await cli('events')).stderr, /There are no events yet/);
  const first = arrival();
  await server.nango.registerConnection('keyed', 'user\u001b[31m', { api_key: 'CANARY' });
  await first;
  const listed = await cli('events');
  assert.match(listed.stdout, /^\S+Z {2}connection\.created +keyed {2}user\uFFFD\[31m\n$/);
  assert.match(listed.stderr, /Continue with: nango events --after \S+/);
  const [, cursor = ''] = /--after (\S+)/.exec(listed.stderr) ?? [];
  assert.equal((await cli('events', '--after', cursor, '--json')).stdout, '');
  assert.equal((JSON.parse((await cli('events', '--json')).stdout) as { type: string }).type, 'connection.created');
  let dead = await cli('webhooks', 'dead');
  while (dead.stdout === '') dead = await cli('webhooks', 'dead');
  assert.match(dead.stdout, /app +evt_\S+ +connection\.created +\S+ +The webhook responded with status 410\./);
  const second = arrival();
  assert.match((await cli('webhooks', 'replay', 'app')).stderr, /1 events are delivered again/);
  await second;
  assert.match((await cli('webhooks', 'replay', 'ap')).stderr, /no webhook "ap"\. Did you mean "app"/);
});

test('nango health requests the configured port, and needs no key', async (t) => {
  const server = await startTestServer(t, { integrations: 'integrations: {}\n' });
  const run = (...parameters: string[]) => runCli(['health', '--folder', server.folder, ...parameters]);
  assert.equal((await run()).code, 0);
  assert.deepEqual(JSON.parse((await run('--ready', '--json')).stdout), {
    healthy: true,
    url: `http://localhost:${new URL(server.url).port}/health/ready`,
  });
  const other = await startScriptedProvider(t, () => ({ body: { hello: 'world' } }));
  assert.match((await run('--server', other.url)).stderr, /is used by another program/);
  await server.running.close();
  const down = await run();
  assert.equal(down.code, 1);
  assert.match(down.stderr, /does not respond/);
});

test('control characters of files and names are shown escaped, and never reach the terminal', async (t) => {
  const folder = temporaryFolder(t, {
    'integrations.yaml': 'integrations:\n  "a\\u001b[31mRED\\u009b2J":\n    extends_blueprint: github\n',
  });
  for (const parameters of [['validate'], ['validate', '--json'], ['blueprints', 'show', 'x\u001b[2J'], ['start']]) {
    const { stdout, stderr } = await runCli(
      [...parameters, ...(parameters[0] === 'blueprints' ? [] : ['--folder', folder])],
      {
        environment: { FORCE_COLOR: '1' },
      },
    );
    for (const escape of ['\u001b[31mRED', '\u001b[2J', '\u009b'])
      assert.ok(!(stdout + stderr).includes(escape), parameters.join(' '));
  }
});

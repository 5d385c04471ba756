import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { freePort } from '../support/free-port.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';
import { cleanEnvironment, runCli, startServerProcess } from '../support/server-process.ts';
import { snippetsOf } from '../support/snippets.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const PAGE = join(root, 'docs/guides/getting-started.md');
const run = promisify(execFile);

/** The code of the page’s snippet that has the title or contains the text. */
function snippet(titleOrText: string): string {
  const found = snippetsOf(PAGE).find(({ title, code }) => title === titleOrText || code.includes(titleOrText));
  return found?.code ?? assert.fail(`no snippet ${titleOrText}`);
}

/** The parameters of a `npx nango` line of the page. */
function command(beginning: string): string[] {
  const line = snippetsOf(PAGE)
    .flatMap(({ code }) => code.split('\n'))
    .find((one) => one.startsWith(`npx nango ${beginning}`));
  return (line ?? assert.fail(beginning)).split(' ').slice(2);
}

test('getting started works word for word in an empty folder', async (t) => {
  const provider = await startScriptedProvider(t, () => ({ body: { login: 'ada' } }));
  const cwd = temporaryFolder(t);
  symlinkSync(join(root, 'node_modules'), join(cwd, 'node_modules'));
  const nango = async (...parameters: string[]) => {
    const { code, stdout, stderr } = await runCli(parameters, { cwd });
    assert.equal(code, 0, stderr);
    return stdout + stderr;
  };
  await nango(...command('init'));
  assert.match(await nango(...command('blueprints add')), /http:\/\/localhost:3003\/oauth\/callback/);
  const integrations = join(cwd, 'nango-integrations/integrations.yaml');
  const entryOf = (text: string) => (parse(text) as { integrations: Record<string, unknown> }).integrations['github'];
  assert.deepEqual(entryOf(readFileSync(integrations, 'utf8')), entryOf(snippet('integrations.yaml')));
  writeFileSync(join(cwd, '.env'), snippet('.env'), { mode: 0o600 });
  await nango(...command('validate'));

  // Two things differ from the page: the port, which may be in use, and the API, which is on this machine.
  const port = await freePort();
  const url = `http://localhost:${port}`;
  writeFileSync(
    join(cwd, 'nango-integrations/nango-config.yaml'),
    `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
  );
  const api = `    requests: { base_url: '${provider.url}/' }\n`;
  const text = readFileSync(integrations, 'utf8');
  writeFileSync(integrations, text.replace(/( +oauth_scopes: \[repo\]\n)/, `$1${api}`));
  const server = await startServerProcess(t, { folder: join(cwd, 'nango-integrations'), url, environment: {} });
  await server.printed(/encryption\.key/);
  assert.ok(existsSync(join(cwd, '.nango/secret.key')));

  const [connect, ...parameters] = command('connect').filter((word) => word !== 'github');
  const credentials = join(cwd, 'credentials.json');
  writeFileSync(credentials, '{"api_key":"any text"}');
  await nango(connect ?? '', 'example', ...parameters, '--credentials', credentials);
  assert.match(await nango(...command('connections list')), /example +1 +default +API_KEY +active/);

  // The page uses the reader’s own account at the provider. The test registers a token instead.
  const secretKey = readFileSync(join(cwd, '.nango/secret.key'), 'utf8').trim();
  const environment = cleanEnvironment({ NANGO_SECRET_KEY: secretKey, NANGO_SERVER_URL: url });
  const register =
    `import Nango from '@nangohq/node-client';\n` +
    `await new Nango().registerConnection('github', '1', { access_token: 'at' });\n`;
  writeFileSync(join(cwd, 'register.mjs'), register);
  await run(process.execPath, ['register.mjs'], { cwd, env: environment });
  appendFileSync(join(cwd, 'call.mjs'), snippet('call.mjs'));
  const { stdout } = await run(process.execPath, ['call.mjs'], { cwd, env: environment });
  assert.equal(stdout, 'ada\n');
  assert.equal(provider.requests[0]?.headers.authorization, 'Bearer at');
});

test('pages that import the frontend SDK say that the registry has another product of that name', () => {
  for (const file of ['README.md', 'docs/guides/getting-started.md', 'docs/guides/connecting-users.md']) {
    const text = readFileSync(join(root, file), 'utf8').replaceAll(/\s+/g, ' ');
    assert.match(text, /import Nango from '@nangohq\/frontend'/);
    assert.match(text, /npm registry (has under|is|has another)/, file);
  }
});

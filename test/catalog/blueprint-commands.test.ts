import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { addIntegration } from '../../packages/server/src/config/add-integration.ts';
import { startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';
import { runCli } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ENTRY = { extends_blueprint: 'slack:v0', oauth_scopes: ['chat:write', "it's"] };

test('an entry is added behind the last one, and nothing else changes', () => {
  const text = `# head
integrations:
    # first
    one:   { auth: { auth_mode: API_KEY } }   # kept
    two:
        log_level: "info"

    # a comment at the end
other: 1
`;
  const added = addIntegration(text, { name: 'slack', entry: ENTRY });
  assert.ok(added.startsWith(text.slice(0, text.indexOf('    # a comment'))));
  assert.match(added, /\n {4}slack:\n {6}extends_blueprint: slack:v0\n {6}oauth_scopes: \[chat:write, 'it''s'\]\n/);
  assert.ok(added.endsWith('other: 1\n') && added.includes('# a comment at the end'));
});

test('an entry is added to an empty file, an empty map and a file without a last newline', () => {
  const entry = '  slack:\n    extends_blueprint: slack:v0\n';
  const added = { extends_blueprint: 'slack:v0' };
  for (const [text, expected] of [
    ['', `integrations:\n${entry}`],
    ['# only a comment', `# only a comment\nintegrations:\n${entry}`],
    ['integrations: {} # none\n', `integrations: # none\n${entry}`],
    ['integrations:\n', `integrations:\n${entry}`],
    ['integrations:\n  a: { log_level: info }', `integrations:\n  a: { log_level: info }\n${entry}`],
  ] as const)
    assert.equal(addIntegration(text, { name: 'slack', entry: added }), expected, JSON.stringify(text));
});

test('a name that exists, and a file of another kind, are rejected', () => {
  assert.throws(() => addIntegration('integrations:\n  slack: {}\n', { name: 'slack', entry: ENTRY }), /already.*--as/);
  assert.throws(() => addIntegration('- a\n', { name: 'slack', entry: ENTRY }), /must be a map/);
  assert.throws(() => addIntegration('a: [', { name: 'slack', entry: ENTRY }), /is not valid YAML/);
  assert.throws(() => addIntegration('integrations: { a: {} }\n', { name: 'slack', entry: ENTRY }), /in braces/);
});

async function inFolder(t: TestContext) {
  const folder = temporaryFolder(t, { 'integrations.yaml': 'integrations: {}\n' });
  return { folder, run: (parameters: string[], environment = {}) => runCli(parameters, { cwd: folder, environment }) };
}

test('nango blueprints add writes a valid Integration, and says what is missing', async (t) => {
  const { folder, run } = await inFolder(t);
  const added = await run([
    'blueprints',
    'add',
    'hubspot',
    '-f',
    folder,
    '--as',
    'crm',
    '--scopes',
    'oauth, crm.objects.contacts.read',
  ]);
  assert.equal(added.code, 0, added.stderr);
  assert.match(added.stderr, /callback URL http:\/\/localhost:3003\/oauth\/callback/);
  assert.match(
    added.stderr,
    /Put CRM_CLIENT_ID and CRM_CLIENT_SECRET into \S+\/\.env, or into the server’s environment/,
  );
  assert.ok(!added.stderr.includes('\u001B'));
  assert.match(
    readFileSync(join(folder, 'integrations.yaml'), 'utf8'),
    /oauth_scopes: \[oauth, crm\.objects\.contacts\.read\]/,
  );
  const valid = await run(['validate', '-f', folder], { CRM_CLIENT_ID: 'id', CRM_CLIENT_SECRET: 's' });
  assert.equal(valid.code, 0, valid.stderr);
  const again = await run(['blueprints', 'add', 'hubspot', '-f', folder, '--as', 'crm']);
  assert.deepEqual([again.code, /already/.test(again.stderr)], [1, true]);
  const before = readFileSync(join(folder, 'integrations.yaml'), 'utf8');
  const unusable = await run(['blueprints', 'add', 'hubspot', '-f', folder, '--as', 'a b: c']);
  assert.deepEqual([unusable.code, /"a b: c" is not a valid name/.test(unusable.stderr)], [2, true]);
  const secret = await run(['blueprints', 'add', 'hubspot', '-f', folder, '--client-secret', 'shh-5ecr3t/+']);
  assert.deepEqual([secret.code, /--client-secret takes the name of an environment/.test(secret.stderr)], [2, true]);
  assert.ok(!secret.stderr.includes('5ecr3t'));
  assert.equal(readFileSync(join(folder, 'integrations.yaml'), 'utf8'), before);
  const digit = await run(['blueprints', 'add', 'hubspot', '-f', folder, '--as', '2nd']);
  assert.match(digit.stderr, /Put _2ND_CLIENT_ID and _2ND_CLIENT_SECRET/, 'no variable begins with a digit');
  const unknown = await run(['blueprints', 'add', 'hubspt', '-f', folder]);
  assert.match(unknown.stderr, /Did you mean "hubspot"/);
});

test('nango blueprints search, show and check', async (t) => {
  const { folder, run } = await inFolder(t);
  const found = JSON.parse((await run(['blueprints', 'search', 'zoho', 'crm', '--json'])).stdout) as { name: string }[];
  assert.deepEqual(
    found.map(({ name }) => name),
    ['zoho-bigin', 'zoho-crm'],
  );
  assert.equal((await run(['blueprints', 'search', 'nothing-like-it'])).code, 1);
  const shown = await run(['blueprints', 'show', 'zoho-crm']);
  assert.match(shown.stdout, /accounts\.zoho\.\$\{config\.domain\}[\s\S]*zohoapis/);
  const own = temporaryFolder(t, {
    'mine.yaml': `name: mine
display_name: Mine
docs_url: https://mine.example/docs
maintainer: Me
versions:
  v0:
    auth: { auth_mode: OAUTH2, authorization_url: https://mine.example/a, tokn_url: https://mine.example/t }
    requests: { base_url: https://mine.example/, headers: { Authorization: 'Bearer \${acess_token}' } }
  v1:
    extends: mine:v1
`,
  });
  const checked = await run(['blueprints', 'check', own]);
  assert.equal(checked.code, 1);
  for (const part of [/mine\.yaml:7:\d+/, /token_url/, /access_token/, /extends itself/])
    assert.match(checked.stderr, part);
  assert.equal((await run(['blueprints', 'check', join(folder, '..')])).code, 0);
});

test('nango blueprints new drafts a Blueprint from an issuer’s metadata, an OpenAPI document or flags', async (t) => {
  const { folder, run } = await inFolder(t);
  const provider = await startScriptedProvider(t, ({ path }) =>
    path === '/.well-known/openid-configuration'
      ? {
          body: {
            issuer: provider.url,
            authorization_endpoint: `${provider.url}/authorize`,
            token_endpoint: `${provider.url}/token`,
            token_endpoint_auth_methods_supported: ['client_secret_post'],
            code_challenge_methods_supported: ['plain'],
          },
        }
      : path === '/docs/openapi.json'
        ? { body: { ...openApi, servers: [{ url: 'v2' }] } }
        : { status: 404 },
  );
  const openApi = {
    openapi: '3.1.0',
    servers: [{ url: 'https://api.acme.example/v2' }],
    components: { securitySchemes: { key: { type: 'apiKey', name: 'X-Acme-Key', in: 'header' } } },
  };
  const servers = [
    {
      url: 'https://{tenant}.acme.example/{stage}',
      variables: { tenant: { default: 'demo' }, stage: { default: 'v2', enum: ['v2', 'v2.1'] } },
    },
  ];
  const documents = temporaryFolder(t, {
    'openapi.json': JSON.stringify(openApi),
    'variables.json': JSON.stringify({ ...openApi, servers }),
    'relative.json': JSON.stringify({ ...openApi, servers: [{ url: '/v2' }] }),
    'broken.yaml': ': : :',
  });
  const document = join(documents, 'openapi.json');
  const drafts: [string[], RegExp[]][] = [
    [
      ['issued', '--issuer', provider.url, '--base-url', 'https://api.acme.example/'],
      [/token_url: http.*\/token/, /authorization_method: body/, /code_challenge_method: none/],
    ],
    [
      ['described', '--openapi', document],
      [/auth_mode: API_KEY/, /X-Acme-Key: \$\{api_key\}/, /acme\.example\/v2\/$/m],
    ],
    [
      ['variable', '--openapi', join(documents, 'variables.json')],
      [
        /base_url: https:\/\/\$\{config\.tenant\}\.acme\.example\/\$\{config\.stage\}\/$/m,
        /default: demo/,
        /pattern: v2\|v2\\\.1/,
      ],
    ],
    [['remote', '--openapi', `${provider.url}/docs/openapi.json`], [/base_url: http:\/\/.*:\d+\/docs\/v2\/$/m]],
    [
      ['relative', '--openapi', join(documents, 'relative.json'), '--base-url', 'https://other.example/v2'],
      [/base_url: https:\/\/other\.example\/v2\/$/m],
    ],
    [
      [
        'told',
        '--authorization-url',
        'https://a.example/a',
        '--token-url',
        'https://a.example/t',
        '--base-url',
        'https://a.example/',
      ],
      [/authorization_url: https:\/\/a\.example\/a/],
    ],
  ];
  for (const [[name = '', ...flags], parts] of drafts) {
    const made = await run(['blueprints', 'new', name, '-f', folder, ...flags]);
    assert.equal(made.code, 0, made.stderr);
    const path = join(folder, 'blueprints', `${name}.yaml`);
    for (const part of parts) assert.match(readFileSync(path, 'utf8'), part);
    const checked = await run(['blueprints', 'check', path]);
    assert.equal(checked.code, 0, checked.stderr);
  }
  const existing = await run(['blueprints', 'new', 'told', '--base-url', 'https://x.example/', '-f', folder]);
  assert.deepEqual([existing.code, /already exists/.test(existing.stderr)], [1, true]);
  for (const wrong of ['../x', 'vague'])
    assert.equal((await run(['blueprints', 'new', wrong, '-f', folder])).code, 2, wrong);
  const both = await run(['blueprints', 'new', 'bad', '--openapi', document, '--issuer', provider.url, '-f', folder]);
  assert.deepEqual([both.code, /cannot be used with/.test(both.stderr)], [2, true], both.stderr);
  for (const [path, why] of [
    [join(folder, 'integrations.yaml'), /integrations\.yaml is not an OpenAPI 3 document/],
    [join(documents, 'broken.yaml'), /broken\.yaml is not an OpenAPI 3 document/],
    [join(documents, 'none.yaml'), /none\.yaml cannot be read/],
    [join(documents, 'relative.json'), /Set --base-url/],
  ] as const) {
    const refused = await run(['blueprints', 'new', 'bad', '--openapi', path, '-f', folder]);
    assert.deepEqual([refused.code, why.test(refused.stderr)], [1, true], refused.stderr);
  }
});

test('GET /api/blueprints searches the catalog, and returns one Blueprint', async (t) => {
  const server = await startTestServer(t, { integrations: 'integrations: {}\n' });
  const { body } = await server.api('GET', '/api/blueprints?q=calendar&category=calendar');
  const names = (body as { blueprints: { name: string }[] }).blueprints.map(({ name }) => name);
  assert.ok(names.includes('google-calendar'));
  const one = await server.api('GET', '/api/blueprints/google-calendar');
  const { blueprint } = one.body as {
    blueprint: { authMode: string; auth: { token_url: string }; requests: { base_url: string } };
  };
  assert.deepEqual(
    [blueprint.authMode, blueprint.auth.token_url, blueprint.requests.base_url],
    ['OAUTH2', 'https://oauth2.googleapis.com/token', 'https://www.googleapis.com/calendar/v3/'],
  );
  for (const name of ['nothing', '..%2F..%2Fpackage', 'slack:v9'])
    assert.equal((await server.api('GET', `/api/blueprints/${name}`)).status, 404, name);
});

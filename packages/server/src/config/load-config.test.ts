import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import { CATALOG_FOLDER } from '../package-files.ts';
import type { Template } from '../schema/template.ts';
import { ConfigError, formatKeyPath } from '../sources/config-fault.ts';
import { loadConfig, loadServerAddress, type Config } from './load-config.ts';

interface Files {
  readonly integrations?: string;
  readonly nangoConfig?: string;
  readonly environment?: Record<string, string>;
  readonly blueprints?: Record<string, string>;
}

function load(
  t: TestContext,
  { integrations = 'integrations: {}', nangoConfig, environment = {}, blueprints = {} }: Files,
): Promise<Config> {
  const files: Record<string, string> = { 'integrations.yaml': integrations };
  if (nangoConfig !== undefined) files['nango-config.yaml'] = nangoConfig;
  for (const [name, text] of Object.entries(blueprints)) files[`blueprints/${name}.yaml`] = text;
  return loadConfig({
    folder: temporaryFolder(t, files),
    catalog: CATALOG_FOLDER,
    environment: (name) => environment[name],
  });
}

/** The faults as `line:column key: message`. */
async function faultsOf(t: TestContext, files: Files): Promise<string[]> {
  const error = await load(t, files).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ConfigError, `no ConfigError but ${String(error)}`);
  return error.faults.map(({ line, column, path, message }) => `${line}:${column} ${formatKeyPath(path)}: ${message}`);
}

async function assertFault(t: TestContext, files: Files, expected: RegExp): Promise<void> {
  const faults = await faultsOf(t, files);
  assert.ok(
    faults.some((fault) => expected.test(fault)),
    `${String(expected)} is not among\n${faults.join('\n')}`,
  );
}

/** The faults of files, or else their warnings. */
async function problemsOf(t: TestContext, files: Files): Promise<readonly string[]> {
  const loaded = await load(t, files).catch(() => undefined);
  return loaded ? loaded.warnings : faultsOf(t, files);
}

const OAUTH2 = `integrations:
  acme:
    oauth_client_id: id
    oauth_client_secret: \${ACME_SECRET}
    oauth_scopes: [a, b]
    auth:
      auth_mode: OAUTH2
      authorization_url: https://acme.com/authorize
      token_url: https://acme.com/token
    requests:
      base_url: https://api.acme.com/
      headers:
        Authorization: Bearer \${access_token}
`;
const ENVIRONMENT = { ACME_SECRET: 'secret' };

test('allowed_redirect_urls are https URLs without user name or fragment', async (t) => {
  const urls = (list: string) => ({ nangoConfig: `allowed_redirect_urls: [${list}]` });
  const listed = ['https://app.example.com/done?a=1', 'http://localhost:3000/'];
  assert.deepEqual((await load(t, urls(listed.join()))).server.allowed_redirect_urls, listed);
  for (const [url, fault] of [
    ['http://app.example.com/', /must be https/],
    ['https://a:b@app.example.com/', /must not contain a user name/],
    ['https://app.example.com/#x', /must not contain a fragment/],
    ['javascript:alert(1)', /must be an https URL/],
    ['/done', /must be an https URL/],
  ] as const)
    await assertFault(t, urls(`'${url}'`), fault);
});

test('every fault of nango-config.yaml is reported at once, also beside a key that occurs twice', async (t) => {
  const nangoConfig = 'application: { logo: missing.svg }\noauth_server_port: 3003\noauth_server_port: 3004\n';
  const faults = (await faultsOf(t, { nangoConfig })).join('\n');
  assert.match(faults, /oauth_server_port: .*twice/);
  assert.match(faults, /application\.logo: /);
});

test('callback_url is an https URL without a fragment', async (t) => {
  const files = (url: string) => ({
    integrations: OAUTH2.replace('  acme:\n', `  acme:\n    callback_url: '${url}'\n`),
    environment: { ACME_SECRET: 's' },
  });
  for (const url of ['https://connect.example.com/acme', 'http://127.0.0.1:3000/acme?x=1'])
    assert.equal((await load(t, files(url))).integrations.get('acme')?.callbackUrl, url);
  for (const url of ['http://connect.example.com/', 'https://connect.example.com/#x', 'https://a:b@c.example/', 'x'])
    await assertFault(t, files(url), /integrations\.acme\.callback_url: must/);
});

test('a faulty name, URL, secret or event of a webhook is reported without the secret', async (t) => {
  const secret = 'whsec_c2hvcnQ-CANARY';
  const config = `webhooks:
  "a b": { url: 'https://a.example/', secret: '${secret}' }
  http: { url: 'http://a.example/', secret: '${secret}' }
  credentials: { url: 'https://user:pass@a.example/', secret: '${secret}', events: [connection.create] }
`;
  await assert.rejects(load(t, { nangoConfig: config }), (error: Error) => {
    for (const part of [
      /is not a valid name/,
      /must be https/,
      /must not contain a user name/,
      /connection\.created/,
      /24 to 64/,
    ])
      assert.match(error.message, part);
    assert.doesNotMatch(error.message, /CANARY/);
    return true;
  });
});

test('an absent nango-config.yaml means all defaults', async (t) => {
  const { server } = await load(t, {});
  assert.deepEqual(
    { ...server, oauth_server_root_url: server.oauth_server_root_url.href },
    {
      main_server_log_level: 'info',
      default_action_log_level: 'info',
      default_http_request_timeout_seconds: 100,
      oauth_server_enabled: true,
      oauth_server_port: 3003,
      oauth_server_root_url: 'http://localhost:3003/',
      allowed_private_networks: [],
      allow_connect_without_session: false,
      application: {},
      trusted_proxies: [],
      secret_keys: {},
      log_user_ids: 'clear',
      webhooks: {},
      allowed_redirect_urls: [],
      events_retention_days: 30,
      max_accounts_per_user: 20,
      connection_cache_size: 10_000,
      database_outage_seconds: 300,
    },
  );
});

test('the server’s address is read although other settings have faults, and its own faults are reported', async (t) => {
  const addressIn = (text: string) =>
    loadServerAddress(temporaryFolder(t, { 'nango-config.yaml': text }), () => undefined);
  const twice = 'http_request_retries: 1\nhttp_request_retries: 2\nunknown_key: true\n';
  assert.equal((await addressIn(`oauth_server_port: 4000\n${twice}`)).port, 4000);
  await assert.rejects(addressIn(`oauth_server_port: many\n${twice}`), (error) => {
    assert.ok(error instanceof ConfigError);
    const paths = error.faults.map(({ path }) => formatKeyPath(path));
    assert.deepEqual(paths, ['oauth_server_port', 'http_request_retries']);
    return true;
  });
});

test('environment variables may supply any value, including numbers and booleans', async (t) => {
  const nangoConfig =
    'oauth_server_port: ${PORT}\noauth_server_enabled: ${ON}\n' +
    'oauth_server_root_url: https://${HOST}/nango/\nmain_server_log_level: ${LEVEL}';
  const { server } = await load(t, {
    nangoConfig,
    environment: { PORT: '4000', ON: 'false', HOST: 'x.example', LEVEL: 'debug' },
  });
  assert.equal(server.oauth_server_port, 4000);
  assert.equal(server.oauth_server_enabled, false);
  assert.equal(server.oauth_server_root_url.href, 'https://x.example/nango');
  assert.equal(server.main_server_log_level, 'debug');
  await assertFault(
    t,
    { nangoConfig: 'oauth_server_port: ${PORT}', environment: { PORT: 'abc' } },
    /1:1 oauth_server_port: /,
  );
});

test('C1: the fault of a missing environment variable names key path, line and variable', async (t) => {
  assert.deepEqual(await faultsOf(t, { integrations: OAUTH2 }), [
    '4:5 integrations.acme.oauth_client_secret: environment variable ACME_SECRET is not set. ' +
      'Put it into .env beside the Nango folder, or into the environment',
  ]);
  await assertFault(t, { integrations: OAUTH2, environment: { ACME_SECRET: '' } }, /ACME_SECRET is empty/);
});

test('C2: an alias bomb is quickly a fault', async (t) => {
  const levels = Array.from(
    { length: 12 },
    (_, level) => `a${level + 1}: &a${level + 1} [${Array(9).fill(`*a${level}`).join(', ')}]`,
  );
  await assertFault(
    t,
    { integrations: `a0: &a0 [x, x, x]\n${levels.join('\n')}\n` },
    /more than \d+ values|nested deeper/,
  );
  await assertFault(t, { integrations: 'a: &a [*a]' }, /deeper|alias|values/i);
});

test('C2: deep nesting, large files, tags, tabs and several documents are faults', async (t) => {
  await assertFault(t, { integrations: `integrations: ${'['.repeat(5000)}` }, /./);
  await assertFault(t, { integrations: `a: ${'x'.repeat(1_100_000)}` }, /larger than/);
  await assertFault(t, { integrations: 'integrations: !!js/function "x"' }, /tag/i);
  await assertFault(t, { integrations: 'integrations:\n\tacme: 1' }, /tab/i);
  await assertFault(t, { integrations: 'integrations: {}\n---\nintegrations: {}' }, /document/i);
});

test('C2: duplicate keys are faults, and YAML 1.1 words are plain names', async (t) => {
  await assertFault(
    t,
    { integrations: `${OAUTH2}  acme: {}\n`, environment: ENVIRONMENT },
    /14:3 .*"acme" occurs twice/,
  );
  const requests = 'requests: { base_url: https://a.com/ }';
  const { integrations } = await load(t, {
    integrations: `integrations:
  no: { auth: { auth_mode: API_KEY }, ${requests} }
  on: { auth: { auth_mode: API_KEY }, ${requests} }
  1: { auth: { auth_mode: API_KEY }, ${requests} }`,
  });
  assert.deepEqual([...integrations.keys()].sort(), ['1', 'no', 'on']);
});

test('C2: a merge key is an unknown key', async (t) => {
  await assertFault(t, { integrations: 'integrations:\n  acme:\n    <<: { auth: {} }' }, /<<: is not a known key/);
});

test('C3: names of prototype members are rejected as names of integrations, headers and parameters', async (t) => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    await assertFault(t, { integrations: `integrations:\n  ${name}: {}` }, /cannot be used as a key/);
    await assertFault(
      t,
      { integrations: OAUTH2.replace('Authorization:', `${name}:`), environment: ENVIRONMENT },
      /cannot be used as a key/,
    );
  }
  const { integrations } = await load(t, {
    integrations: OAUTH2.replace('acme:', 'hasOwnProperty:').replace('Authorization:', 'toString:'),
    environment: ENVIRONMENT,
  });
  assert.ok(integrations.get('hasOwnProperty')?.requests.headers.has('toString'));
});

test('refuses an own Integration whose pages may name a host that receives the secret', async (t) => {
  const filesWith = (tokenUrl: string, config = '') => {
    const integrations = `${OAUTH2.replace('https://acme.com/token', tokenUrl)}\n    config: {${config}}\n`;
    return { integrations, environment: ENVIRONMENT };
  };
  const problemsFor = (tokenUrl: string, config?: string) => problemsOf(t, filesWith(tokenUrl, config));
  const host = 'https://${config.host}/token';
  const [problem, ...others] = await problemsFor(host);
  assert.match(
    problem ?? '',
    /integrations\.acme\.config\.host: lets a page choose the host that receives your secret/,
  );
  assert.deepEqual(others, []);
  assert.equal((await problemsFor('${config.host}/token')).length, 1, 'an origin');
  assert.equal((await problemsFor('https://api.${config.host}/token')).length, 1, 'behind a fixed label');
  assert.equal((await problemsFor('https://${config.host}.com/token')).length, 1, 'any domain of .com');
  assert.equal((await problemsFor(host, 'host: { pattern: ".+" }')).length, 1, 'a pattern that fixes nothing');
  assert.equal((await problemsFor('${config.host}/token', 'host: { pattern: "https://.+" }')).length, 1);
  assert.equal((await problemsFor(host, 'host: { pattern: "[a-z]+[.]com" }')).length, 1, 'a top-level domain');

  assert.deepEqual(await problemsFor('https://${config.host}.acme.com/token'), [], 'a host of one owner');
  assert.deepEqual(await problemsFor('https://acme.com/${config.host}/token'), [], 'a path');
  assert.deepEqual(await problemsFor(host, 'host: { pattern: "[a-z]+[.]acme[.]com" }'), []);
  const fixed = await load(t, filesWith(host, 'host: { set_by: application, default: acme.com }'));
  assert.deepEqual([fixed.warnings, fixed.integrations.get('acme')?.isGuarded], [[], false]);
  const chosen = await load(t, filesWith(host, 'host: { set_by: back_end }'));
  assert.deepEqual([chosen.warnings, chosen.integrations.get('acme')?.isGuarded], [[], true]);
  const setByProvider =
    'https://acme.com/token\n      refresh_url: https://${config.host}/token\n' +
    '      config_from_token_response: { host: host }';
  assert.deepEqual(await problemsFor(setByProvider), [], 'the provider supplies the host');
  const late = `${host}\n      config_from_token_response: { host: host }`;
  assert.equal((await problemsFor(late)).length, 1, 'the secret was sent before the provider supplied the host');
  const viaBrowser = setByProvider.replace('token_response: { host: host }', 'callback: { host: host }');
  assert.equal((await problemsFor(viaBrowser)).length, 1, 'the user’s browser can change a callback');
  const user = OAUTH2.replace('https://acme.com/authorize', 'https://${config.host}/authorize');
  assert.deepEqual((await load(t, { integrations: user, environment: ENVIRONMENT })).warnings, [], 'sees no secret');
  const api = user
    .replace('base_url: https://api.acme.com/', 'base_url: https://${config.api}/')
    .replace('oauth_client_id', 'app_api_key: key\n    oauth_client_id')
    .replace('${access_token}', '${access_token}\n        Key: ${app_api_key}');
  assert.match((await problemsOf(t, { integrations: api, environment: ENVIRONMENT })).join(), /config\.api/);
});

test('refuses an own Integration whose pages may name a host whose requests the secret signs', async (t) => {
  const client = 'oauth_client_id: client-1\n    oauth_client_secret: secret-1\n    ';
  const problemsFor = async (auth: string, { headers = '', settings = client } = {}) => {
    const integrations = `integrations:
  acme:
    ${settings}app_api_key: key-1
    oauth_scopes: []
    auth: { ${auth} }
    requests: { base_url: 'https://\${config.host}/', headers: { ${headers} } }
`;
    return problemsOf(t, { integrations, environment: ENVIRONMENT });
  };
  const urls = ['request_url', 'authorization_url', 'token_url']
    .map((key) => `${key}: 'https://acme.com/x'`)
    .join(', ');
  const oauth1 = `auth_mode: OAUTH1, signature_method: PLAINTEXT, ${urls}`;
  assert.match((await problemsFor(oauth1)).join(), /config\.host: lets a page choose the host/);
  assert.deepEqual(
    await problemsFor(oauth1, { headers: `authorization: 'Bearer \${oauth_token}'` }),
    [],
    'is not signed',
  );
  const jwt = (key: string) => `auth_mode: JWT, jwt: { key: '${key}', algorithm: HS256 }`;
  assert.match((await problemsFor(jwt('${oauth_client_secret}'))).join(), /config\.host/);
  assert.deepEqual(await problemsFor(jwt('${raw.key}')), [], 'the user’s own key');
  const assertion = `assertion: { key: '\${app_api_key}', algorithm: HS256 }`;
  const grant = `token_params: { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' }`;
  const oauth2 = `auth_mode: OAUTH2, token_url: 'https://\${config.server}/token', ${grant}, ${assertion}`;
  assert.match((await problemsFor(oauth2, { settings: '' })).join(), /config\.server/);
});

test('C4: http URLs outside loopback are rejected, and with allow_http there is a warning', async (t) => {
  const http = OAUTH2.replace('https://acme.com/token', 'http://acme.com/token');
  await assertFault(t, { integrations: http, environment: ENVIRONMENT }, /auth\.token_url: must be https/);
  const allowed = await load(t, {
    integrations: http.replace('oauth_client_id', 'allow_http: true\n    oauth_client_id'),
    environment: ENVIRONMENT,
  });
  assert.match(allowed.warnings.join(), /allow_http/);
  const step = '      steps: [{ request: { url: "http://acme.com/me" }, store: { id: id } }]\n';
  const withSteps = OAUTH2.replace('    requests:', `${step}    requests:`);
  await assertFault(t, { integrations: withSteps, environment: ENVIRONMENT }, /steps\.0\.request\.url: must be https/);
  const callback = OAUTH2.replace('    requests:', '      redirect_uri: http://acme.com/back\n    requests:');
  await assertFault(t, { integrations: callback, environment: ENVIRONMENT }, /auth\.redirect_uri: must be https/);
  const chosen = OAUTH2.replace('    requests:', '      redirect_uri: "${config.app}"\n    requests:');
  const { integrations } = await load(t, { integrations: chosen, environment: ENVIRONMENT });
  assert.equal(integrations.get('acme')?.isGuarded, false, 'nothing is requested from a callback');
  for (const host of ['localhost:9', '127.0.0.1', '[::1]:8', 'as.localhost'])
    await load(t, {
      integrations: OAUTH2.replace('https://acme.com/token', `http://${host}/token`),
      environment: ENVIRONMENT,
    });
  await assertFault(t, { nangoConfig: 'oauth_server_root_url: http://nango.example.com' }, /must be https/);
});

test('C5: all unknown keys, wrong types and unknown placeholders are listed, with suggestions', async (t) => {
  const integrations = `integrations:
  acme:
    oauth_client_idd: id
    oauth_client_id: 123
    auth:
      auth_mode: OAUTH2
      tokn_url: https://acme.com/token
      body_format: jsno
    requests:
      base_url: [1]
  beta:
    auth:
      auth_mode: API_KEY
    requests:
      base_url: https://b.com
      headers:
        X-Key: \${apikey}
        X-Token: \${oauth_token}
      parms: {}
  gamma:
    extends_blueprint: slak
`;
  const faults = await faultsOf(t, { integrations });
  for (const expected of [
    /^3:5 integrations\.acme\.oauth_client_idd: is not a known key\. Did you mean "oauth_client_id"\?/,
    /^4:5 integrations\.acme\.oauth_client_id: must be text: put it in quotes/,
    /^7:7 integrations\.acme\.auth\.tokn_url: is not a known key\. Did you mean "token_url"\?/,
    /^8:7 integrations\.acme\.auth\.body_format: must be one of form, json\. Did you mean "json"\?/,
    /^10:7 integrations\.acme\.requests\.base_url: must be text, not a list/,
    /^19:7 integrations\.beta\.requests\.parms: is not a known key\. Did you mean "params"\?/,
    /^21:5 integrations\.gamma\.extends_blueprint: names a Blueprint that does not exist\. Did you mean "slack"\?/,
  ]) {
    assert.ok(
      faults.some((fault) => expected.test(fault)),
      `${String(expected)} is not among\n${faults.join('\n')}`,
    );
  }
  const headers = integrations.replace('      parms: {}\n', '');
  await assertFault(t, { integrations: headers }, /^17:9 .*X-Key: \$\{apikey\} .*Did you mean "api_key"/);
  await assertFault(t, { integrations: headers }, /^18:9 .*X-Token: \$\{oauth_token\} is not available here/);
});

test('names known at request time are never read from the environment', async (t) => {
  await assertFault(
    t,
    { integrations: OAUTH2.replace('${ACME_SECRET}', '${access_token}'), environment: { access_token: 'x' } },
    /not available here/,
  );
  const { integrations } = await load(t, {
    integrations: OAUTH2,
    environment: { ...ENVIRONMENT, access_token: 'from-the-environment' },
  });
  assert.deepEqual(integrations.get('acme')?.requests.headers.get('Authorization')?.placeholders, ['access_token']);
});

test('the text of an environment variable is not expanded again', async (t) => {
  const { integrations } = await load(t, {
    integrations: OAUTH2.replace('Bearer', '${PREFIX}'),
    environment: { ...ENVIRONMENT, PREFIX: '${oauth_client_secret}' },
  });
  const template = integrations.get('acme')?.requests.headers.get('Authorization');
  assert.deepEqual(template?.placeholders, ['access_token']);
  assert.equal(template?.parts[0], '${oauth_client_secret}');
});

test('the settings that an auth mode needs are required', async (t) => {
  const without = (line: string) => ({
    integrations: OAUTH2.replace(new RegExp(`.*${line}.*\\n`), ''),
    environment: ENVIRONMENT,
  });
  await assertFault(t, without('oauth_client_id'), /oauth_client_id: is required with auth_mode OAUTH2/);
  await assertFault(t, without('oauth_client_secret'), /oauth_client_secret: is required/);
  await assertFault(t, without('oauth_scopes'), /oauth_scopes: is required/);
  await assertFault(t, without('token_url'), /auth\.token_url: is required/);
  await assertFault(t, without('authorization_url'), /auth\.authorization_url: is required/);
  await assertFault(t, without('base_url'), /requests\.base_url: is required/);
  await assertFault(
    t,
    without('auth_mode'),
    /auth\.auth_mode: must be one of OAUTH2, OAUTH1, API_KEY, USERNAME_PASSWORD/,
  );
  await assertFault(t, { integrations: 'integrations:\n  acme:\n    auth: { auth_mode: API_KEY }' }, /requests/);
  await load(t, {
    integrations: OAUTH2.replace(/.*oauth_client_secret.*\n/, '').replace(
      'auth_mode: OAUTH2',
      'auth_mode: OAUTH2\n      authorization_method: none',
    ),
  });
});

test('invalid header names, and headers that frame the message, are rejected', async (t) => {
  await assertFault(
    t,
    { integrations: OAUTH2.replace('Authorization:', 'These Headers:'), environment: ENVIRONMENT },
    /These Headers.*: is not a valid header name/,
  );
  await assertFault(
    t,
    { integrations: OAUTH2.replace('Authorization:', 'Content-Length:'), environment: ENVIRONMENT },
    /cannot be configured/,
  );
});

const BLUEPRINT = `name: acme
display_name: Acme
docs_url: https://acme.com/docs
maintainer: us
versions:
  v0:
    auth: { auth_mode: API_KEY }
    requests:
      { base_url: https://v0.acme.com/, headers: { Authorization: 'Bearer \${api_key}', X-A: a }, params: { p: '1' } }
  v9:
    auth: { auth_mode: API_KEY }
    requests: { base_url: https://v9.acme.com/ }
  v10:
    auth: { auth_mode: API_KEY }
    requests: { base_url: https://v10.acme.com/ }
`;

test('a Blueprint is extended by its latest version or by one that is named', async (t) => {
  const integrations = 'integrations:\n  a: { extends_blueprint: acme }\n  b: { extends_blueprint: acme:v9 }';
  const config = await load(t, { integrations, blueprints: { acme: BLUEPRINT } });
  assert.equal(config.integrations.get('a')?.blueprint, 'acme:v10');
  assert.equal(config.integrations.get('b')?.requests.baseUrl.parts[0], 'https://v9.acme.com/');
  await assertFault(
    t,
    { integrations: 'integrations:\n  a: { extends_blueprint: acme:v7 }', blueprints: { acme: BLUEPRINT } },
    /names version "v7", but acme has v0, v9, v10/,
  );
});

test('overrides merge key by key: null removes, header names compare without case', async (t) => {
  const integrations = `integrations:
  a:
    extends_blueprint: acme:v0
    requests: { headers: { authorization: 'Key \${api_key}', X-A: null, X-B: b }, params: null }`;
  const { requests } =
    (await load(t, { integrations, blueprints: { acme: BLUEPRINT } })).integrations.get('a') ?? assert.fail();
  assert.deepEqual([...requests.headers.keys()], ['authorization', 'X-B']);
  assert.equal(requests.params.size, 0);
  assert.equal(requests.baseUrl.parts[0], 'https://v0.acme.com/');
});

test('the user’s own Blueprints take precedence over the catalog’s, and their faults name their file', async (t) => {
  const slack = BLUEPRINT.replace('name: acme', 'name: slack');
  const config = await load(t, {
    integrations: 'integrations:\n  a: { extends_blueprint: slack:v0 }',
    blueprints: { slack },
  });
  assert.equal(config.integrations.get('a')?.auth.auth_mode, 'API_KEY');
  const broken = BLUEPRINT.replace('https://v10.acme.com/', 'nonsense');
  const error = await load(t, {
    integrations: 'integrations:\n  a: { extends_blueprint: acme }',
    blueprints: { acme: broken },
  }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ConfigError);
  assert.ok(error.faults[0]?.file.endsWith(join('blueprints', 'acme.yaml')), error.message);
  assert.equal(error.faults[0]?.line, 15);
  await assertFault(
    t,
    { integrations: 'integrations:\n  a: { extends_blueprint: other }', blueprints: { other: BLUEPRINT } },
    /name: must be "other"/,
  );
});

test('the catalog’s Blueprints are valid', async (t) => {
  const names = ['slack', 'github', 'google', 'hubspot', 'notion', 'stripe', 'salesforce', 'xero', 'twitter', 'trello'];
  const entries = names.map(
    (name) =>
      `  ${name}: { extends_blueprint: ${name}:v0, oauth_client_id: a, oauth_client_secret: b, oauth_scopes: [c] }`,
  );
  const { integrations } = await load(t, { integrations: `integrations:\n${entries.join('\n')}` });
  assert.deepEqual([...integrations.keys()], names);
});

test('C5: a syntax error is one fault, at its place', async (t) => {
  const integrations =
    'integrations:\n  a:\n    auth: { auth_mode: API_KEY, x: {} y\n    requests: { base_url: https://a }\n  b: 1\n';
  const faults = await faultsOf(t, { integrations });
  assert.equal(faults.length, 1);
  assert.match(faults[0] ?? '', /^3:39 /);
});

test('a value that the application sets for all connections must be present and valid', async (t) => {
  const integrations = (config: string) =>
    'integrations:\n  shop:\n    extends_blueprint: ebay\n    oauth_client_id: id\n' +
    `    oauth_client_secret: s\n    oauth_scopes: [a]\n${config}`;
  await assertFault(t, { integrations: integrations('') }, /config\.ru_name\.default: .*RuName.* is required/);
  const fromEnvironment = '    config: { ru_name: { default: "${RU_NAME}" } }\n';
  await assertFault(
    t,
    { integrations: integrations(fromEnvironment), environment: { RU_NAME: 'not a name' } },
    /7:26 .*config\.ru_name\.default: .*must match/,
  );
  const { integrations: loaded } = await load(t, {
    integrations: integrations(fromEnvironment),
    environment: { RU_NAME: 'A-b' },
  });
  assert.equal(loaded.get('shop')?.configFields['ru_name']?.default, 'A-b');
});

test('an unquoted number keeps its spelling as text, and is a number in every spelling', async (t) => {
  const written = ['1.0', '7.10', '052812345678', '918756876419824312', '0x10', '1e3', '.5', '+1', '12', 'true'];
  const headers = written.map((number, index) => `        X-${index}: ${number}\n`).join('');
  const params = written.map((number, index) => `        p${index}: ${number}\n`).join('');
  const { integrations } = await load(t, {
    environment: { ACME_SECRET: 's' },
    integrations: `${OAUTH2}${headers}      params:\n${params}
    http_request_timeout_seconds: 6.0e1
`,
  });
  const { requests, httpRequestTimeoutSeconds } = integrations.get('acme') ?? assert.fail();
  const textsOf = (templates: ReadonlyMap<string, Template>) =>
    [...templates.values()].map((one) => one.render(() => ''));
  assert.deepEqual(textsOf(requests.headers).slice(1), written);
  assert.deepEqual(textsOf(requests.params), written);
  assert.equal(httpRequestTimeoutSeconds, 60);
});

test('an unquoted number in a Blueprint keeps its spelling, also beside an overridden number', async (t) => {
  const { integrations } = await load(t, {
    blueprints: { acme: BLUEPRINT.replace('X-A: a', 'X-A: 1.0, X-B: 2.0') },
    integrations: 'integrations:\n  a: { extends_blueprint: acme:v0, requests: { headers: { X-B: 3.0 } } }',
  });
  const found = integrations.get('a')?.requests.headers;
  assert.deepEqual(
    ['X-A', 'X-B'].map((name) => found?.get(name)?.render(() => '')),
    ['1.0', '3.0'],
  );
});

test('warns of credentials that no request carries, and of config that nobody is prompted for', async (t) => {
  const { warnings } = await load(t, {
    integrations: `integrations:
  keyed:
    auth: { auth_mode: API_KEY }
    config: { sub: {} }
    requests: { base_url: 'https://\${config.subb}.example.com/' }
  fine:
    auth: { auth_mode: API_KEY }
    config: { sub: {} }
    requests: { base_url: 'https://\${config.sub}.example.com/', params: { key: '\${api_key}' } }
`,
  });
  assert.deepEqual(
    warnings.map((text) => text.split('. ')[0]),
    [
      'Integration "keyed" uses no credential of its connections: requests are sent unauthorized',
      'Integration "keyed" uses ${config.subb}, which its config does not declare, so nobody is prompted for it',
    ],
  );
  assert.match(warnings[1] ?? '', /Did you mean "sub"\?/);
});

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parse } from 'yaml';
import type {
  AdditionalConfig,
  AuthMode,
  AuthModeContext,
  BaseCredentials,
  Integration,
} from '../../packages/server/src/auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../../packages/server/src/auth-modes/registry.ts';
import { BlueprintCatalog } from '../../packages/server/src/catalog/blueprint-catalog.ts';
import { blueprintDigest } from '../../packages/server/src/catalog/blueprint-digest.ts';
import { CATEGORIES } from '../../packages/server/src/catalog/blueprint-file.ts';
import type { OAuthHttpRequest } from '../../packages/server/src/oauth/oauth-http.ts';
import { Template } from '../../packages/server/src/schema/template.ts';
import { loadConfig } from '../../packages/server/src/config/load-config.ts';
import { authorizeRequest } from '../../packages/server/src/calls/authorize-request.ts';
import { targetUrl } from '../../packages/server/src/formats/request-target.ts';
import { withDefaults } from '../../packages/server/src/schema/input-fields.ts';
import { CATALOG_FOLDER } from '../../packages/server/src/package-files.ts';
import { BlueprintProvider, configuredSchema, type Described } from '../support/blueprint-provider.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { responseParameters, revealedRequest, secret } from '../support/secrets.ts';

interface Version {
  extends?: string;
  auth?: Record<string, unknown>;
  config?: Record<string, { example?: string; default?: string; pattern?: string; set_by?: string }>;
  requests?: Record<string, unknown>;
}

interface File {
  name: string;
  display_name: string;
  categories?: string[];
  docs_url: string;
  verified?: { by: string; date: string; sources: string[] };
  versions: Record<string, Version>;
}

const files = new Map(
  readdirSync(CATALOG_FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => {
      const read = parse(readFileSync(join(CATALOG_FOLDER, file), 'utf8')) as File;
      return [file.slice(0, -'.yaml'.length), read] as const;
    }),
);
const references = [...files].flatMap(([name, { versions }]) =>
  Object.keys(versions).map((version) => `${name}:${version}`),
);

/** A version merged over the versions that it extends, as the reference describes. */
function versionOf(reference: string): Version {
  const [name = '', version = ''] = reference.split(':');
  const own = files.get(name)?.versions[version] ?? assert.fail(reference);
  if (own.extends === undefined) return own;
  const under = versionOf(own.extends);
  const headers = { ...(under.requests?.['headers'] as object), ...(own.requests?.['headers'] as object) };
  return {
    auth: { ...under.auth, ...own.auth },
    config: { ...under.config, ...own.config },
    requests: { ...under.requests, ...own.requests, headers },
  };
}

const CLIENT = {
  id: 'client:id',
  secret: 'secret+%ü',
  scopes: ['one', 'two'],
  appApiKey: 'app-key',
  redirectUri: 'https://nango.example/oauth/callback',
};
// Only a flow whose user authorizes in a browser, at endpoints that the file contains, can be walked.
const DISCOVERED = new Set(['mcp:v0']);

let integrations: ReadonlyMap<string, Integration>;
let warnings: readonly string[];

before(async () => {
  const folder = temporaryFolder(
    { after: () => undefined },
    {
      'integrations.yaml': `integrations:\n${references
        .map(
          (reference) =>
            `  ${nameOf(reference)}:
    extends_blueprint: ${reference}
    oauth_client_id: '${CLIENT.id}'
    oauth_client_secret: '${CLIENT.secret}'
    oauth_scopes: [one, two]
    app_api_key: ${CLIENT.appApiKey}
    config: ${applicationConfig(versionOf(reference))}
`,
        )
        .join('')}`,
    },
  );
  ({ integrations, warnings } = await loadConfig({ folder, catalog: CATALOG_FOLDER, environment: () => undefined }));
});

/** The values that the application sets for all its connections, as YAML. */
function applicationConfig({ config = {} }: Version): string {
  const fields = Object.entries(config).filter(([, { set_by }]) => set_by === 'application');
  return JSON.stringify(Object.fromEntries(fields.map(([name, { example }]) => [name, { default: example }])));
}

function nameOf(reference: string): string {
  return reference.replace(':', '_');
}

/** The config of a new connection: the examples of the fields. */
function configOf({ config = {} }: Version): Record<string, string> {
  const examples = Object.entries(config).map(([name, { example, default: otherwise }]) => [
    name,
    example ?? otherwise ?? '',
  ]);
  return Object.fromEntries(examples) as Record<string, string>;
}

/** The config of a connection after the flow: the examples of the fields, and the provider’s values. */
function broughtConfig(version: Version, { auth, requests }: Described): Record<string, string> {
  const { config_from_callback: byCallback, config_from_token_response: byResponse, steps } = auth;
  const fromCallback = Object.entries(byCallback).map(([name, param]) => [name, `callback-${param}`]);
  const told = [...Object.entries(byResponse), ...steps.flatMap(({ store }) => Object.entries(store))];
  // A value that stands for an origin has to be an origin.
  const isOrigin = (name: string) => requests.base_url.startsWith(`\${config.${name}}`);
  const valueOf = (name: string) => (isOrigin(name) ? 'https://told.example' : `told-${name.replaceAll('_', '-')}`);
  // Two names of one place have the same value.
  const firstOf = (path: string) => told.find(([, other]) => other === path)?.[0];
  const fromResponses = told.map(([name, path]) => [name, valueOf(firstOf(path) ?? name)]);
  return { ...configOf(version), ...Object.fromEntries([...fromCallback, ...fromResponses]) } as Record<string, string>;
}

/** One Blueprint’s provider, and the server’s code for it. */
interface Walk {
  readonly integration: Integration;
  readonly mode: AuthMode;
  readonly described: Described;
  readonly provider: BlueprintProvider;
  /** The prompted values. */
  readonly prompted: Record<string, string>;
  readonly context: AuthModeContext;
  /** The requests that the provider received, in order. */
  readonly seen: string[];
}

interface Connected {
  readonly credentials: BaseCredentials;
  readonly config: AdditionalConfig;
}

/** Runs connect, token, refresh, request and revocation against a provider that is made from the Blueprint. */
async function walk(
  reference: string,
  { described, integration }: { described: Described; integration: Integration },
): Promise<string[]> {
  const version = versionOf(reference);
  const mode = AUTH_MODES.get(integration.auth.auth_mode) ?? assert.fail();
  const provider = new BlueprintProvider(described, { ...CLIENT, config: broughtConfig(version, described) });
  const prompted = promptedIn(version);
  const seen: string[] = [];
  const context = {
    now: () => Date.now(),
    randomToken: () => 'a-random-token-of-some-length-0123456789abcdef',
    http: async (request: OAuthHttpRequest) => {
      const call = revealedRequest(request);
      seen.push([call.method, call.url, authenticationOf(call.headers), call.body ?? ''].join(' '));
      return { status: 200, contentType: 'application/json', body: secret(provider.answer(call, prompted)) };
    },
  } as unknown as AuthModeContext;
  const walking = { integration, mode, described, provider, prompted, context, seen };
  const config = configOf(version);
  const connected = await connect(walking, config);
  await call(walking, connected);
  if (mode.revocation?.applies(integration)) {
    provider.expectRevocation();
    await mode.revocation.revoke({ integration, ...connected }, context);
  }
  return seen;
}

/** A connection. Its token, if it has one, was refreshed once. */
async function connect(walking: Walk, config: AdditionalConfig): Promise<Connected> {
  const { integration, mode, described, context, prompted } = walking;
  const { authorization, issuance } = mode;
  const refreshed = async ({ config: own, credentials }: Connected): Promise<Connected> => {
    assert.equal(mode.refresh?.isRefreshable(credentials, integration), true);
    const after = await mode.refresh.refresh({ integration, config: own, credentials }, context);
    return { config: own, credentials: after };
  };
  if (authorization?.applies(integration)) {
    const authorized = await authorize(walking, { authorization, config });
    return mode.name === 'OAUTH2' ? refreshed(authorized) : authorized;
  }
  if (issuance?.applies(integration))
    return refreshed({ config, credentials: await issuance.issue({ integration, config }, context) });
  const fields = mode.prompted?.fields(integration) ?? assert.fail();
  const asked = Object.entries(fields).filter(([name, { optional }]) => !optional || name in prompted);
  const values = Object.fromEntries(asked.map(([name]) => [name, prompted[name] ?? assert.fail(name)]));
  const credentials = await mode.prompted?.accept({ integration, config, values: secret(values) }, context);
  const accepted = { config, credentials: credentials ?? assert.fail() };
  return described.auth.token_request ? refreshed(accepted) : accepted;
}

async function authorize(
  { integration, provider, context, seen }: Walk,
  { authorization, config }: { authorization: NonNullable<AuthMode['authorization']>; config: AdditionalConfig },
): Promise<Connected> {
  const { redirectUri } = CLIENT;
  const begun = await authorization.begin({ integration, config, state: secret('state'), redirectUri }, context);
  seen.unshift(begun.authorizationUrl.reveal());
  const callback = responseParameters(provider.authorize(begun.authorizationUrl.reveal()));
  const { secrets } = begun;
  const done = await authorization.complete({ integration, config, callback, secrets, redirectUri }, context);
  return { credentials: done.credentials, config: { ...config, ...done.config } };
}

/** Calls the API. The request that verifies credentials comes first, if there is one. */
async function call(
  { integration, mode, provider, prompted, seen }: Walk,
  { credentials, config }: Connected,
): Promise<void> {
  const held = { integration, mode, credentials, config: withDefaults(integration.configFields, config) };
  const token = { access_token: provider.accessToken, oauth_token: 'token-2', oauth_token_secret: 'secret-2' };
  const verification = mode.prompted?.verification(integration);
  for (const request of [verification, { method: 'GET', endpoint: 'some/endpoint' }]) {
    if (!request) continue;
    const authorized = authorizeRequest(request, held, { now: () => Date.now(), randomToken: () => 'nonce' });
    const sent = { ...authorized, url: targetUrl(authorized.target) };
    await provider.request(sent, { ...prompted, ...token });
    if (request === verification) seen.push(`verified by ${sent.method} ${sent.url}`);
  }
}

const PRIVATE_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});

/** The prompted values, and what the server makes of them. Fields with a format use their examples. */
function promptedIn({ auth = {} }: Version): Record<string, string> {
  const fields = (auth['credentials'] ?? {}) as Record<string, { example?: string; pattern?: string }>;
  const own = Object.entries(fields).map(([name, { example, pattern }]) => {
    if (name === 'private_key') return [name, String(PRIVATE_KEY)];
    return [name, pattern === undefined ? `the-${name}` : (example ?? assert.fail(`no example of ${name}`))];
  });
  const known = ['api_key', 'username', 'password', 'access_key_id', 'secret_access_key'];
  const values: Record<string, string> = {
    ...Object.fromEntries(known.map((name) => [name, `the-${name}`])),
    ...(Object.fromEntries(own) as Record<string, string>),
  };
  const named = Object.entries(fields).map(
    ([name, { pattern = '' }]) => new RegExp(`^(?:${pattern})$`, 'u').exec(values[name] ?? '')?.groups ?? {},
  );
  const basic = Buffer.from(`${values['username']}:${values['password']}`).toString('base64');
  return Object.assign(values, { basic_auth_encoded: basic }, ...named) as Record<string, string>;
}

function authenticationOf({ authorization }: Record<string, string>): string {
  return authorization === undefined ? '-' : (authorization.split(' ')[0] ?? '');
}

/** Templates that begin like URLs, under keys that are named for URLs. */
function urlsIn(section: object): Template[] {
  return Object.entries(section).flatMap(([key, value]: [string, unknown]) => {
    if (value instanceof Template) return /(^|_)(url|issuer|resource)$/.test(key) ? [value] : [];
    const isText = /(^|_)(params|headers|body|claims)$/.test(key);
    return typeof value === 'object' && value !== null && !isText ? urlsIn(value) : [];
  });
}

function integrationOf(reference: string): Integration {
  return integrations.get(nameOf(reference)) ?? assert.fail(reference);
}

describe('every Blueprint', () => {
  test('declares every URL of auth as an endpoint', () => {
    for (const integration of integrations.values()) {
      const { auth } = integration;
      const declared = new Set(
        AUTH_MODES.get(auth.auth_mode)
          ?.endpoints(auth)
          .map(({ url }) => url),
      );
      for (const url of urlsIn(auth)) assert.ok(declared.has(url), `${integration.name}: ${url.parts.join('')}`);
    }
  });

  test('no connection can choose who receives the application’s secret', () => {
    // These clients are registered with each server separately, so the secret is for one server.
    assert.deepEqual(
      warnings.filter((warning) => !warning.startsWith('Integration "mcp_v0"')),
      [],
    );
  });

  test('has categories, a source of its facts, https URLs, and a provider name that is unique', () => {
    const displayed = new Map<string, string>();
    for (const [name, file] of files) {
      assert.equal(file.name, name);
      assert.ok(
        file.categories?.every((category) => (CATEGORIES as readonly string[]).includes(category)),
        name,
      );
      assert.ok(file.verified && file.verified.sources.length > 0, name);
      assert.match(file.docs_url, /^https:\/\//, name);
      assert.doesNotMatch(JSON.stringify(file), /"http:\/\//, name);
      const shown = file.display_name.toLowerCase();
      assert.equal(displayed.get(shown), undefined, `${name} and ${displayed.get(shown)} are both shown as ${shown}`);
      displayed.set(shown, name);
    }
  });

  test('prompts for every connection value in its URLs and headers, with an example that fits', () => {
    for (const reference of references) {
      const { auth, config = {}, requests } = versionOf(reference);
      const read = new Set(
        [...JSON.stringify([auth, requests]).matchAll(/\$\{config\.(\w+)\}/g)].map(([, name = '']) => name),
      );
      const { steps } = configuredSchema.parse(versionOf(reference)).auth;
      const maps = [
        auth?.['config_from_callback'],
        auth?.['config_from_token_response'],
        ...steps.map(({ store }) => store),
      ];
      const brought = new Set(maps.flatMap((map) => Object.keys(map ?? {})));
      for (const name of read)
        assert.ok(name in config || brought.has(name), `${reference} declares no config.${name}`);
      for (const [name, { example, default: otherwise, pattern }] of Object.entries(config)) {
        assert.ok(example ?? otherwise, `${reference} has no example of config.${name}`);
        assert.match(
          example ?? otherwise ?? '',
          new RegExp(`^(?:${pattern ?? '.*'})$`, 'u'),
          `${reference} config.${name}`,
        );
      }
    }
  });

  test('connects, refreshes and calls at a provider that is made from its description', async () => {
    for (const reference of references.filter((one) => !DISCOVERED.has(one))) {
      try {
        const described = configuredSchema.parse(versionOf(reference));
        await walk(reference, { described, integration: integrationOf(reference) });
      } catch (error) {
        throw new Error(`${reference}: ${error instanceof Error ? error.message : ''}`, { cause: error });
      }
    }
  });

  test('is rejected by a provider that differs in any of its quirks', async () => {
    const other: Record<string, (value: unknown, usual: unknown) => unknown> = {
      authorization_method: (value) => (value === 'header' ? 'body' : 'header'),
      body_format: (value) => (value === 'json' ? 'form' : 'json'),
      code_challenge_method: (value) => (value === 'none' ? 'S256' : 'none'),
      scope_separator: (value) => (value === ',' ? ' ' : ','),
      token_http_method: (value) => (value === 'GET' ? 'POST' : 'GET'),
      authorization_url: (value) => `${String(value)}x`,
      token_url: (value) => `${String(value)}x`,
      refresh_url: (value) => (value === undefined ? 'https://elsewhere.example/' : `${String(value)}x`),
      request_url: (value) => `${String(value)}x`,
      signature_method: (value) => (value === 'PLAINTEXT' ? 'HMAC-SHA1' : 'PLAINTEXT'),
      authorization_params: (value) => ({ ...(value as object), mutated: 'x' }),
      token_params: (value) => ({ ...(value as object), mutated: 'x' }),
      refresh_params: (value) => ({ ...(value as object), mutated: 'x' }),
      token_headers: (value) => ({ ...(value as object), 'X-Mutated': 'x' }),
      token_response_paths: (value) => ({ ...(value as object), access_token: 'somewhere.else' }),
      authorization_parameter_names: (value) => ({ ...(value as object), redirect_uri: 'mutated' }),
      token_parameter_names: (value) => ({ ...(value as object), code: 'mutated' }),
      token_request: () => ({ url: 'https://elsewhere.example/token' }),
      jwt: (value) => ({ ...(value as object), claims: { aud: 'another' } }),
      service: () => 'another',
      region: () => 'another-region-1',
      redirect_uri: () => 'another-name',
      refresh_request: () => ({ url: 'https://elsewhere.example/refresh' }),
      revocation_url: (value) => `${String(value)}x`,
      revocation_request: () => ({ url: 'https://elsewhere.example/revoke' }),
      refresh_with_redirect_uri: (value) => value !== true,
      refresh_authorization_method: (value, usual) => ((value ?? usual) === 'header' ? 'body' : 'header'),
    };
    const ofMode: Record<string, string[]> = {
      OAUTH1: ['authorization_url', 'token_url', 'request_url', 'signature_method', 'token_http_method'],
      JWT: ['jwt'],
      AWS_SIGV4: ['service', 'region'],
    };
    const ofOthers = new Set(['request_url', 'signature_method', 'token_request', 'jwt', 'service', 'region']);
    ofMode['OAUTH2'] = Object.keys(other).filter((key) => !ofOthers.has(key));
    for (const mode of ['API_KEY', 'USERNAME_PASSWORD']) ofMode[mode] = ['token_request'];
    // The application requests tokens itself: nobody is redirected, and nothing is refreshed.
    const ofIssuance = [
      'authorization_method',
      'body_format',
      'scope_separator',
      'token_http_method',
      'token_url',
    ].concat(['token_params', 'token_headers', 'token_response_paths']);
    let mutated = 0;
    for (const reference of references.filter((one) => !DISCOVERED.has(one))) {
      const described = configuredSchema.parse(versionOf(reference));
      const integration = integrationOf(reference);
      const isIssued = described.auth.token_params['grant_type'] === 'client_credentials';
      for (const key of isIssued ? ofIssuance : (ofMode[described.auth.auth_mode] ?? [])) {
        if (key === 'token_request' && described.auth.token_request === undefined) continue;
        // Without a form, the Blueprint has no format for it.
        if (key === 'body_format' && described.auth.token_http_method === 'GET') continue;
        if (key.startsWith('revocation_') && described.auth[key] === undefined) continue;
        // A value that another key replaces is not checked.
        if (described.auth.refresh_request && /^refresh_(url|params|authorization_method|with_redirect_uri)$/.test(key))
          continue;
        if (key === 'scope_separator' && described.auth.authorization_parameter_names['scope'] === '') continue;
        const auth = {
          ...described.auth,
          [key]: other[key]?.(described.auth[key], described.auth.authorization_method),
        };
        const changed = configuredSchema.parse({ ...described, auth });
        mutated += 1;
        await assert.rejects(
          walk(reference, { described: changed, integration }),
          `${reference} does not notice ${key}`,
        );
      }
      const { requests } = described;
      const headers = { ...requests.headers, 'X-Mutated': 'x' };
      await assert.rejects(
        walk(reference, { described: { ...described, requests: { ...requests, headers } }, integration }),
      );
      const moved = { ...requests, base_url: 'https://elsewhere.example/' };
      await assert.rejects(walk(reference, { described: { ...described, requests: moved }, integration }));
      mutated += 2;
    }
    assert.ok(mutated > 5_000, `${mutated} mutations`);
  });

  test('sends the requests that were reviewed', async () => {
    const lines: string[] = [];
    for (const reference of references.filter((one) => !DISCOVERED.has(one)).toSorted()) {
      const described = configuredSchema.parse(versionOf(reference));
      const seen = await walk(reference, { described, integration: integrationOf(reference) });
      const steps = seen.map((line) =>
        line
          .replaceAll(/code_(challenge|verifier)(=|":")[\w-]+/g, 'code_$1$2…')
          .replaceAll(/oauth_(nonce|timestamp|signature)="[^"]*"/g, 'oauth_$1="…"'),
      );
      lines.push(
        `${reference}\n${steps.map((line) => `  ${line}\n`).join('')}` +
          `  ${described.requests.base_url} ${JSON.stringify(described.requests.headers)}\n`,
      );
    }
    const path = join(import.meta.dirname, '../snapshots/blueprints.txt');
    const text = lines.join('');
    if (process.env['UPDATE_SNAPSHOTS'] === '1') {
      const { writeFileSync } = await import('node:fs');
      writeFileSync(path, text);
    }
    const reviewed = readFileSync(path, 'utf8').split('\n');
    for (const [index, line] of text.split('\n').entries())
      assert.equal(
        line,
        reviewed[index],
        `line ${index + 1} of test/snapshots/blueprints.txt; after a review: UPDATE_SNAPSHOTS=1`,
      );
    assert.equal(text.split('\n').length, reviewed.length);
  });

  test('code names no provider', () => {
    // Names of providers that are also common words.
    const words = new Set([
      'front',
      'line',
      'box',
      'close',
      'circle',
      'motion',
      'segment',
      'frame',
      'cursor',
      'buffer',
      'linear',
      'universe',
    ]);
    const names = [...files.keys()].filter((name) => !words.has(name));
    const folder = join(CATALOG_FOLDER, '../src');
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/(?<!\.test)\.ts$/.test(entry.name)) continue;
      const code = readFileSync(join(entry.parentPath, entry.name), 'utf8').replaceAll(
        /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm,
        '',
      );
      const named = names.filter((name) => new RegExp(`['"\`]${name}(:v\\d+)?['"\`]`).test(code));
      assert.deepEqual(named, [], entry.name);
    }
  });
});

test('a released version of a Blueprint is frozen, so a changed fact needs a new version', async () => {
  const released = JSON.parse(readFileSync(join(CATALOG_FOLDER, 'released.json'), 'utf8')) as Record<string, string>;
  const catalog = new BlueprintCatalog([CATALOG_FOLDER]);
  for (const [reference, digest] of Object.entries(released)) {
    const found = await catalog.find(reference);
    assert.ok('source' in found, `${reference} was released, and is gone`);
    assert.equal(blueprintDigest(found), digest, `${reference} was released, and says something else now`);
  }
});

test('a frozen version fixes its content, and not its notation', async (t) => {
  const text = readFileSync(join(CATALOG_FOLDER, 'salesforce-sandbox.yaml'), 'utf8');
  const base = readFileSync(join(CATALOG_FOLDER, 'salesforce.yaml'), 'utf8');
  const digest = async (own: string, under: string) => {
    const folder = temporaryFolder(t, { 'salesforce-sandbox.yaml': own, 'salesforce.yaml': under });
    const found = await new BlueprintCatalog([folder]).find('salesforce-sandbox:v0');
    return 'source' in found ? blueprintDigest(found) : assert.fail();
  };
  const before = await digest(text, base);
  assert.equal(await digest(text.replace(/comment: .*/, 'comment: another'), base), before);
  assert.notEqual(await digest(text.replaceAll('https://test.', 'https://other.'), base), before);
  assert.notEqual(
    await digest(text, base.replace('authorization_method: body', 'authorization_method: header')),
    before,
  );
});

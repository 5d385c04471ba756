import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, relative } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../packages/server/src/config/load-config.ts';
import { CATALOG_FOLDER } from '../../packages/server/src/package-files.ts';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import { snippetsOf } from '../support/snippets.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
// Some checkouts have the founding guide beside them. The project’s own pages are always here.
const FOUNDING_GUIDE = join(root, '../shared/spec/auth-guide.md');
const PAGES = [
  FOUNDING_GUIDE,
  join(root, 'README.md'),
  ...readdirSync(join(root, 'docs/guides')).map((name) => join(root, 'docs/guides', name)),
].filter((file) => existsSync(file));

/** The keys that a partial snippet of an Integration leaves to the reader. */
const REST: Record<string, Record<string, unknown>> = {
  OAUTH2: {
    oauth_client_id: 'id',
    oauth_client_secret: 'secret',
    oauth_scopes: [],
    auth: { authorization_url: 'https://a.example/authorize', token_url: 'https://a.example/token' },
  },
  OAUTH1: {
    oauth_client_id: 'id',
    oauth_client_secret: 'secret',
    oauth_scopes: [],
    auth: {
      request_url: 'https://a.example/r',
      authorization_url: 'https://a.example/a',
      token_url: 'https://a.example/t',
      signature_method: 'HMAC-SHA1',
    },
  },
  API_KEY: { app_api_key: 'app', auth: {} },
  USERNAME_PASSWORD: { auth: {} },
};

function modeOf(entry: Record<string, unknown>, code: string): string {
  const auth = entry['auth'] as { auth_mode?: string } | undefined;
  if (auth?.auth_mode) return auth.auth_mode;
  if (code.includes('oauth_token')) return 'OAUTH1';
  if (code.includes('basic_auth_encoded')) return 'USERNAME_PASSWORD';
  return code.includes('api_key}') ? 'API_KEY' : 'OAUTH2';
}

function complete(code: string): string {
  const integrations = parse(code) as Record<string, Record<string, unknown>>;
  const entries = (integrations['integrations'] as Record<string, Record<string, unknown>> | undefined) ?? integrations;
  for (const [name, entry] of Object.entries(entries)) {
    if (entry['extends_blueprint']) continue;
    const mode = modeOf(entry, code);
    const rest = REST[mode] ?? {};
    const auth = { auth_mode: mode, ...(rest['auth'] as object), ...(entry['auth'] as object | undefined) };
    const requests = { base_url: 'https://api.example/', ...(entry['requests'] as object | undefined) };
    entries[name] = { ...rest, ...entry, auth, requests };
  }
  return stringify({ integrations: entries });
}

const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32).toString('base64')}`;
const environment = (name: string) =>
  name.endsWith('WEBHOOK_SECRET') ? WEBHOOK_SECRET : /^[A-Z][A-Z0-9_]*$/.test(name) ? `value-of-${name}` : undefined;

async function load(t: TestContext, file: string, text: string): Promise<void> {
  const files =
    file === 'nango-config.yaml'
      ? { [file]: text, 'integrations.yaml': 'integrations: {}' }
      : { 'integrations.yaml': text };
  await loadConfig({ folder: temporaryFolder(t, files), catalog: CATALOG_FOLDER, environment });
}

describe('YAML snippets of the guides are valid configuration', () => {
  for (const page of PAGES) {
    for (const { language, title, code, line } of snippetsOf(page)) {
      if (language !== 'yaml' || !/integrations\.yaml|nango-config\.yaml/.test(title)) continue;
      test(`${relative(root, page)}:${line}`, async (t) => {
        const file = title.includes('nango-config') ? 'nango-config.yaml' : 'integrations.yaml';
        // The founding guide once has prose in the place of a header’s name.
        const text = code.replace('These Headers:', 'X-These-Headers:');
        await load(t, file, file === 'integrations.yaml' ? complete(text) : text);
        if (text !== code)
          await assert.rejects(load(t, file, complete(code)), /These Headers.*is not a valid header name/);
      });
    }
  }
});

test('the frontend snippet connects as it is written', async (t) => {
  const source = existsSync(FOUNDING_GUIDE) ? FOUNDING_GUIDE : join(root, 'README.md');
  const snippet =
    snippetsOf(source).find(({ language, code }) => language === 'js' && code.includes('@nangohq/frontend')) ??
    assert.fail();
  const provider = await startScriptedProvider(t, ({ path, query }) => {
    if (path === '/token') return { body: { access_token: 'at' } };
    const back = `${query.get('redirect_uri')}?code=c&state=${query.get('state')}`;
    return { status: 302, headers: { location: back } };
  });
  const server = await startTestServer(t, {
    rootUrl: 'http://localhost:3003',
    integrations: `integrations:${scriptedIntegration(provider.url, { name: 'slack' })}`,
  });
  const page = `<!doctype html><script type="importmap">{"imports":{"@nangohq/frontend":"/sdk.js"}}</script>
<button id="go">Go</button><script type="module">
    const run = async () => { const code = await (await fetch('/snippet.js')).text(); window.snippet = code; };
    await run();
    await import('/sdk.js');
    go.onclick = () => {
      const script = document.createElement('script');
      script.type = 'module';
      script.textContent = window.snippet;
      document.body.append(script);
    };
    go.dataset.ready = 1;
  </script>`;
  const sdk = readFileSync(join(root, 'packages/frontend/dist/index.js'), 'utf8');
  const port = await freePort();
  const app = createServer((request, response) => {
    const [type, body] =
      request.url === '/sdk.js'
        ? ['text/javascript', sdk]
        : request.url === '/snippet.js'
          ? ['text/plain', snippet.code]
          : ['text/html', page];
    response.writeHead(200, { 'content-type': type }).end(body);
  });
  await new Promise<void>((resolve) => app.listen(port, 'localhost', resolve));
  t.after(() => void app.close());
  // The snippet names port 3003. The test sends the browser to the server’s real port.
  const browser = await launchChromium([
    `--host-resolver-rules=MAP localhost:3003 localhost:${new URL(server.url).port}`,
  ]);
  t.after(() => browser.close());
  const tab = await browser.newPage();
  const said = new Promise<string>((resolve) => tab.on('console', (message) => resolve(message.text())));
  await tab.goto(`http://localhost:${port}`);
  await tab.click('#go[data-ready]');
  assert.equal(await said, 'OAuth flow succeeded for integration "slack" and user-id "1"!');
});

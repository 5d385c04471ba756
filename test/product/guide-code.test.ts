import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type Nango from '@nangohq/node-client';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { listen } from '../support/listen.ts';
import { startTestServer } from '../support/nango-server.ts';
import { startScriptedProvider } from '../support/scripted-provider.ts';
import { snippetsOf, type Snippet } from '../support/snippets.ts';

const root = join(import.meta.dirname, '../..');
const PEM = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();

/** A provider that accepts everything that the guide describes. */
function startProvider(t: TestContext) {
  return startScriptedProvider(t, ({ path, query }) => {
    if (path === '/oauth/authorize') {
      const location = `${query.get('redirect_uri')}?code=c&state=${query.get('state')}`;
      return { status: 302, headers: { location } };
    }
    const token = { access_token: 'at', token_type: 'bearer', expires_in: 3600 };
    return { body: path === '/session' ? { session: { token: 'at', ttl: 3_600_000 } } : token };
  });
}

/** A server with the Integration of the YAML above a snippet. */
async function startFor(t: TestContext, yaml: string) {
  const provider = await startProvider(t);
  const integrations = yaml.replaceAll(/https:\/\/(api\.)?acme\.com/g, provider.url);
  const environment = { ACME_CLIENT_SECRET: 's', ACME_APP_KEY: 'k', ACME_CONSUMER_SECRET: 's' };
  return startTestServer(t, { integrations, environment });
}

/** Runs a back end’s snippet. The snippet’s client is `nango`, and its key is `pem`. */
async function runInBackEnd({ code }: Snippet, nango: Nango): Promise<void> {
  const AsyncFunction = Object.getPrototypeOf(runInBackEnd).constructor as FunctionConstructor;
  await AsyncFunction('nango', 'pem', code)(nango, PEM);
}

async function runInPage({ code }: Snippet, { url, browser, t }: { url: string; browser: Browser; t: TestContext }) {
  const sdk = readFileSync(join(root, 'packages/frontend/dist/index.js'), 'utf8');
  const html = `<!doctype html><button id="go">Go</button><script type="module">
    import Nango from '/sdk.js';
    const nango = new Nango('${url}');
    go.onclick = async () => {
      try { ${code}; document.title = 'done'; } catch (error) { document.title = String(error); }
    };
    go.dataset.ready = 1;
  </script>`;
  const app = createServer((request, response) => {
    const [type, body] = request.url === '/sdk.js' ? ['text/javascript', sdk] : ['text/html', html];
    response.writeHead(200, { 'content-type': type }).end(body);
  });
  const port = await listen(t, app);
  const page = await browser.newPage();
  await page.goto(`http://localhost:${port}`);
  await page.click('#go[data-ready]');
  await page.waitForFunction('document.title !== ""');
  assert.equal(await page.title(), 'done');
  await page.close();
}

describe('the code of docs/guides/auth.md does what its text says', () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());
  const snippets = snippetsOf(join(root, 'docs/guides/auth.md'));
  for (const [index, snippet] of snippets.entries()) {
    if (snippet.language === 'yaml') continue;
    test(`line ${snippet.line}: ${snippet.title}`, async (t) => {
      const yaml = snippets.slice(0, index).findLast(({ language }) => language === 'yaml') ?? assert.fail();
      const server = await startFor(t, yaml.code);
      if (snippet.title === 'In your back end') await runInBackEnd(snippet, server.nango);
      else if (snippet.title === 'In your front end') await runInPage(snippet, { url: server.url, browser, t });
      else assert.fail(`nothing runs snippets titled "${snippet.title}"`);
      const { status } = (await server.nango.request('acme', '1', { endpoint: 'users' })).returnValue;
      assert.equal(status, 200);
    });
  }
});

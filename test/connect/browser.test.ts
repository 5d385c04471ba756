import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { authorizationServerIntegration, startAuthorizationServer } from '../support/authorization-server.ts';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';
import type { Cleanup } from '../support/temporary-folder.ts';

const SDK = readFileSync(join(import.meta.dirname, '../../packages/frontend/dist/nango.js'), 'utf8');
const MODULE = readFileSync(join(import.meta.dirname, '../../packages/frontend/dist/index.js'), 'utf8');

/** Serves an application’s page that calls connect() like the guide. */
async function serveApplication(
  cleanup: Cleanup,
  {
    root,
    integration = 'acme',
    userId = '1',
    options = {},
  }: { root: string; integration?: string; userId?: string; options?: object },
): Promise<string> {
  const page = `<!doctype html><title>App</title><button id="go">Connect</button><pre id="out"></pre>
<script src="/nango.js"></script>
<script>
const nango = new Nango(${JSON.stringify(root)}, ${JSON.stringify(options)});
go.onclick = () => {
  out.textContent = '';
  nango.connect(${toScript(integration)}, ${toScript(userId)})
    .then((result) => { out.textContent = 'ok ' + result.integrationName + ' ' + result.userId; })
    .catch((error) => {
      const { type, message } = error.error;
      out.textContent = 'error ' + error.integrationName + ' ' + error.userId + ' ' + type + ' ' + message;
    });
};
</script>`;
  const server = createServer((request, response) => {
    if (request.url === '/nango.js')
      return void response.writeHead(200, { 'content-type': 'text/javascript' }).end(SDK);
    if (request.url === '/module.js')
      return void response.writeHead(200, { 'content-type': 'text/javascript' }).end(MODULE);
    response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve));
  cleanup.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://localhost:${port}`;
}

const toScript = (value: string): string => JSON.stringify(value).replaceAll('<', '\\u003c');

const outcome = async (page: Page): Promise<string> => {
  await page.waitForFunction('out.textContent !== ""', undefined, { timeout: 20_000 });
  return (await page.textContent('#out')) ?? '';
};

describe('connect() in Chromium', () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  async function newPage(t: TestContext): Promise<Page> {
    const context = await browser.newContext();
    t.after(() => context.close());
    return context.newPage();
  }

  /** Starts a server with a real authorization server, and opens an application’s page. */
  async function openApplication(
    t: TestContext,
    {
      pageHeaders = {},
      ...options
    }: { pageHeaders?: Record<string, string>; config?: string; files?: Record<string, string> } = {},
  ): Promise<{ server: TestServer; page: Page; app: string }> {
    const environment: Record<string, string> = {};
    const port = await freePort();
    const as = await startAuthorizationServer(t, {
      redirectUri: `http://localhost:${port}/oauth/callback`,
      pageHeaders,
    });
    environment['AS_SECRET'] = as.clientSecret;
    const server = await startTestServer(t, {
      integrations: authorizationServerIntegration(as),
      environment,
      port,
      ...options,
    });
    const app = await serveApplication(t, { root: server.url });
    const page = await newPage(t);
    await page.goto(app);
    return { server, page, app };
  }

  const openPopup = async (page: Page): Promise<Page> => {
    const [popup] = await Promise.all([page.waitForEvent('popup'), page.click('#go')]);
    return popup;
  };

  test('the guide’s snippet connects, and the popup closes itself', async (t) => {
    const { server, page } = await openApplication(t);
    const popup = await openPopup(page);
    await Promise.all([popup.waitForEvent('close'), popup.click('#approve')]);
    assert.equal(await outcome(page), 'ok acme 1');
    assert.equal((await server.nango.getConnection('acme', '1')).returnValue.status, 'active');
  });

  test('a denied consent is access_denied', async (t) => {
    const { server, page } = await openApplication(t);
    const popup = await openPopup(page);
    await popup.click('#deny');
    assert.match(await outcome(page), /^error acme 1 access_denied .*No, thanks/);
    assert.deepEqual((await server.nango.getConnectionsForUserId('1')).returnValue, []);
  });

  test('F12: closing the popup is window_closed', async (t) => {
    const { page } = await openApplication(t);
    const popup = await openPopup(page);
    await popup.waitForSelector('#approve');
    await popup.close();
    assert.match(await outcome(page), /^error acme 1 window_closed /);
  });

  test('F12: a blocked popup is popup_blocked', async (t) => {
    const { page } = await openApplication(t);
    await page.evaluate('window.open = () => null');
    await page.click('#go');
    assert.match(await outcome(page), /^error acme 1 popup_blocked /);
  });

  test('F12: a provider that cuts off the popup (COOP) still ends in success, which the server reports', async (t) => {
    const { page } = await openApplication(t, { pageHeaders: { 'cross-origin-opener-policy': 'same-origin' } });
    await page.clock.install();
    await page.reload();
    // In a real browser the popup has the focus. Headless Chromium reports focus for every page.
    await page.evaluate('document.hasFocus = () => false');
    const popup = await openPopup(page);
    await popup.waitForSelector('#approve');
    assert.equal(await popup.evaluate('window.opener'), null);
    // The page sees a closed popup for longer than it would wait for a popup that is really closed.
    for (let second = 0; second < 6; second += 1)
      await Promise.all([page.waitForResponse(/\/oauth\/attempts\//), page.clock.runFor(1_000)]);
    assert.equal(await page.textContent('#out'), '');
    await popup.click('#approve');
    await popup.waitForSelector('text=You can close this window');
    await page.clock.resume();
    assert.equal(await outcome(page), 'ok acme 1');
  });

  test('F12: too little time is timeout, and a missing server is network_error', async (t) => {
    const { server } = await openApplication(t);
    const hurried = await newPage(t);
    await hurried.goto(await serveApplication(t, { root: server.url, options: { timeout: 1 } }));
    await hurried.click('#go');
    assert.match(await outcome(hurried), /^error acme 1 timeout /);
    await hurried.goto(await serveApplication(t, { root: `http://localhost:${await freePort()}` }));
    await hurried.click('#go');
    assert.match(await outcome(hurried), /^error acme 1 network_error /);
  });

  test('unknown integrations and missing user ids have their types', async (t) => {
    const { server } = await openApplication(t);
    const page = await newPage(t);
    await page.goto(await serveApplication(t, { root: server.url, integration: 'acmee' }));
    await page.click('#go');
    assert.match(await outcome(page), /^error acmee 1 unknown_integration .*Did you mean "acme"/);
    await page.goto(await serveApplication(t, { root: server.url, userId: '' }));
    await page.click('#go');
    assert.match(await outcome(page), /^error acme {2}missing_user_id /);
  });

  test('F1: a foreign browser that finishes the flow gets no result, and the page learns of it', async (t) => {
    const provider = await startScriptedProvider(t, () => ({
      headers: { 'content-type': 'text/html' },
      body: '<h1>Consent</h1>',
    }));
    const server = await startTestServer(t, { integrations: `integrations:${scriptedIntegration(provider.url)}` });
    const page = await newPage(t);
    await page.goto(await serveApplication(t, { root: server.url }));
    const popup = await openPopup(page);
    await popup.waitForSelector('text=Consent');
    const state = new URL(popup.url()).searchParams.get('state');
    const foreign = await newPage(t);
    await foreign.goto(`${server.url}/oauth/callback?code=stolen&state=${state}`);
    assert.match((await foreign.textContent('main')) ?? '', /finished in another browser/);
    assert.match(await outcome(page), /^error acme 1 invalid_state /);
    assert.deepEqual((await server.nango.getConnectionsForUserId('1')).returnValue, []);
  });

  test('F3, F11: a replayed callback in the same browser is rejected, and its address bar shows no code', async (t) => {
    const { page } = await openApplication(t);
    const popup = await openPopup(page);
    const callback = popup.waitForRequest(/\/oauth\/callback/).then((request) => request.url());
    await popup.click('#approve');
    assert.equal(await outcome(page), 'ok acme 1');
    await page.goto(await callback);
    assert.match((await page.textContent('main')) ?? '', /already used.*invalid_state/s);
    assert.ok(!page.url().includes('code='), 'the code is taken out of the address bar');
  });

  test('F10: no parameter sends a browser from our page to another origin', async (t) => {
    const { server } = await openApplication(t);
    const page = await newPage(t);
    const elsewhere: string[] = [];
    await page.route(
      (url) => url.hostname === 'evil.example',
      (route) => (elsewhere.push(route.request().url()), route.abort()),
    );
    const names = ['next', 'url', 'redirect', 'redirect_uri', 'redirect_url', 'return_to', 'continue', 'origin'];
    const query = names.map((name) => `${name}=${encodeURIComponent('http://evil.example/')}`).join('&');
    const { token } = (await server.nango.createConnectSession({ userId: '1' })).returnValue;
    const begun = await fetch(`${server.url}/oauth/attempts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ integration: 'acme', userId: '1' }),
    });
    const { connectUrl } = (await begun.json()) as { connectUrl: string };
    for (const address of [
      `${connectUrl}&${query}`,
      `${server.url}/oauth/callback?${query}`,
      `${server.url}/?${query}`,
    ]) {
      await page.goto(address);
      assert.equal(new URL(page.url()).origin, server.url);
    }
    assert.deepEqual(elsewhere, []);
  });

  const HOSTILE = `</script><img src=x onerror="document.title='pwned'"><svg onload=alert(1)>"'\u2028`;

  test('F7: hostile provider text, integration names and user ids are shown as text and run nothing', async (t) => {
    const provider = await startScriptedProvider(t, ({ path, query }) => {
      if (path !== '/authorize') return { status: 404 };
      const back = new URL(query.get('redirect_uri') ?? '');
      back.search = new URLSearchParams({
        state: query.get('state') ?? '',
        error: HOSTILE,
        error_description: HOSTILE,
      }).toString();
      return { status: 302, headers: { location: back.href } };
    });
    const server = await startTestServer(t, { integrations: `integrations:${scriptedIntegration(provider.url)}` });
    const page = await newPage(t);
    const dialogs: string[] = [];
    page.context().on('dialog', (dialog) => dialogs.push(dialog.message()));
    await page.goto(await serveApplication(t, { root: server.url, userId: `1"'&lt;\u2028</script>` }));
    await page.click('#go');
    assert.match(await outcome(page), /provider_error/);
    // Without an opener the same page stays open, so the test can inspect it.
    const { connectUrl } = (await (
      await fetch(`${server.url}/oauth/attempts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ integration: 'acme', userId: '2' }),
      })
    ).json()) as { connectUrl: string };
    const violations: string[] = [];
    page.on('console', (message) => violations.push(message.text()));
    await page.goto(connectUrl);
    assert.equal(await page.title(), 'Not connected');
    assert.equal(await page.locator('img').count(), 0);
    assert.deepEqual(dialogs, []);
    assert.ok(!violations.some((text) => text.includes('Content Security Policy')), violations.join());
  });

  test('F2, F11, D9: a link to connect shows whose account it becomes, and continues only after a click', async (t) => {
    const { server, page } = await openApplication(t, {
      config: 'application: { name: Acme <CRM>, logo: logo.svg }',
      files: {
        'logo.svg': '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>',
      },
    });
    const { token } = (await server.nango.createConnectSession({ userId: 'mallory' })).returnValue;
    const begun = await fetch(`${server.url}/oauth/attempts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ integration: 'acme', userId: 'mallory' }),
    });
    const { connectUrl } = (await begun.json()) as { connectUrl: string };
    const violations: string[] = [];
    page.on('console', (message) => violations.push(message.text()));
    await page.goto(connectUrl);
    assert.equal(await page.textContent('h1'), 'Connect acme to Acme <CRM>');
    assert.match((await page.textContent('main')) ?? '', /part of the account mallory in Acme <CRM>/);
    assert.equal(await page.evaluate('document.querySelector("img").naturalWidth > 0'), true);
    assert.equal(new URL(page.url()).search, '');
    await page.click('button');
    await page.waitForSelector('#approve');
    assert.ok(!violations.some((text) => text.includes('Content Security Policy')), violations.join());
  });

  test('F2, F8, D9: a page of another origin that opens the link learns nothing and cannot confirm it', async (t) => {
    const { server, page, app } = await openApplication(t);
    const { token } = (await server.nango.createConnectSession({ userId: 'mallory' })).returnValue;
    const begun = await fetch(`${server.url}/oauth/attempts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, origin: 'https://app.example' },
      body: JSON.stringify({ integration: 'acme', userId: 'mallory' }),
    });
    const { connectUrl, nonce } = (await begun.json()) as { connectUrl: string; nonce: string };
    await page.goto(app);
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      page.evaluate(`{
        window.seen = [];
        addEventListener('message', (event) => seen.push(event.data));
        const w = window.open(${JSON.stringify(connectUrl)});
        setInterval(() => w.postMessage({ source: 'nango', nonce: ${JSON.stringify(nonce)} }, '*'), 10);
      }`),
    ]);
    await popup.waitForSelector('button:visible');
    assert.ok(popup.url().startsWith(`${server.url}/oauth/connect/`));
    assert.equal(await popup.evaluate('window.opener !== null'), true);
    assert.deepEqual(await page.evaluate('window.seen'), []);
  });

  test('F8: an opener of another origin learns nothing', async (t) => {
    const { page, app } = await openApplication(t);
    const [popup] = await Promise.all([page.waitForEvent('popup'), page.click('#go')]);
    await popup.waitForSelector('#approve');
    // The page that opened the popup navigates away. The message is only for the origin that began the attempt.
    const other = app.replace('localhost', '127.0.0.1');
    await page.route(`${other}/**`, (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<script>window.seen = []; addEventListener('message', (e) => seen.push(e.data));</script>`,
      }),
    );
    // The page navigates itself, because a navigation by the test would separate it from its popup.
    await page.evaluate(`location.href = ${JSON.stringify(other)}`);
    await page.waitForFunction('Array.isArray(window.seen)');
    assert.equal(await popup.evaluate('window.opener !== null'), true);
    await Promise.all([popup.waitForEvent('close'), popup.click('#approve')]);
    // Messages that were posted earlier arrive before this one.
    await page.evaluate(`window.postMessage('last', '*')`);
    await page.waitForFunction(`window.seen.includes('last')`);
    assert.deepEqual(await page.evaluate('window.seen'), ['last']);
  });

  test('F8: the SDK gives its nonce only to the server’s origin', async (t) => {
    const { server, page } = await openApplication(t);
    await page.evaluate(`
      window.posted = [];
      window.popup = {
        location: {},
        closed: false,
        close() {},
        postMessage: (data, target) => posted.push([data.nonce, target]),
      };
      window.open = () => popup;`);
    await Promise.all([page.waitForResponse(/\/oauth\/attempts$/), page.click('#go')]);
    await page.waitForFunction('popup.location.href');
    await page.evaluate(`
      const event = new MessageEvent('message', {
        origin: ${JSON.stringify(server.url)},
        data: { source: 'nango', status: 'ready' },
      });
      dispatchEvent(Object.defineProperty(event, 'source', { value: popup }));`);
    assert.deepEqual(await page.evaluate('posted.map(([, target]) => target)'), [server.url]);
  });

  test('F9: messages from other windows or origins are ignored', async (t) => {
    const { server, page } = await openApplication(t);
    const popup = await openPopup(page);
    await popup.waitForSelector('#approve');
    await page.evaluate(`window.postMessage({ source: 'nango', status: 'succeeded', error: null }, '*')`);
    // The message has our server’s origin, but comes from a window that the SDK did not open.
    const [another] = await Promise.all([
      page.waitForEvent('popup'),
      page.evaluate(`void window.open(${JSON.stringify(`${server.url}/`)})`),
    ]);
    await another.waitForSelector('h1');
    await another.evaluate(
      `window.opener.postMessage({ source: 'nango', status: 'failed', error: { type: 'foreign', message: '' } }, '*')`,
    );
    await popup.evaluate(
      `window.opener.postMessage({ source: 'nango', status: 'failed', error: { type: 'forged', message: '' } }, '*')`,
    );
    await popup.click('#approve');
    assert.equal(await outcome(page), 'ok acme 1');
  });

  test('prompted credentials are registered without a popup', async (t) => {
    const integrations = `integrations:\n  keyed:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: 'https://api.example/' }\n`;
    const server = await startTestServer(t, { integrations });
    const page = await newPage(t);
    await page.goto(
      await serveApplication(t, { root: server.url, integration: 'keyed', options: { credentials: { api_key: 'k' } } }),
    );
    await page.evaluate('window.open = () => { throw new Error("a popup was opened") }');
    await page.click('#go');
    assert.equal(await outcome(page), 'ok keyed 1');
    assert.equal((await server.nango.getConnection('keyed', '1')).returnValue.credentials['api_key'], 'k');
    await page.goto(await serveApplication(t, { root: server.url, integration: 'keyed' }));
    await page.click('#go');
    assert.match(await outcome(page), /^error keyed 1 invalid_credentials .*credentials/);
  });

  test('works as a module too, and with a connect session token', async (t) => {
    const { server, page } = await openApplication(t);
    const { token } = (
      await server.nango.createConnectSession({
        userId: 'tok',
        integrations: ['acme'],
        origin: new URL(page.url()).origin,
      })
    ).returnValue;
    await page.addScriptTag({
      type: 'module',
      content: `import Nango from '/module.js';
        go.onclick = () => {
          const nango = new Nango(${JSON.stringify(server.url)}, { connectSessionToken: ${JSON.stringify(token)} });
          nango.connect('acme', 'tok').then(
            (result) => { out.textContent = 'module ' + result.userId; },
            (error) => { out.textContent = error.error.type; },
          );
        };`,
    });
    await page.waitForFunction('go.onclick.toString().includes("tok")');
    const popup = await openPopup(page);
    await popup.click('#approve');
    assert.equal(await outcome(page), 'module tok');
  });
});

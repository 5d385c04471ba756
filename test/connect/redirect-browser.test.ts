import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { authorizationServerIntegration, startAuthorizationServer } from '../support/authorization-server.ts';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/nango-server.ts';
import { serveSdkPage } from '../support/sdk-page.ts';

describe('redirect mode and reconnect() in Chromium', () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  async function newPage(t: TestContext, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options);
    t.after(() => context.close());
    return context.newPage();
  }

  /** Starts a server with a real authorization server, and an application with the SDK. */
  async function start(t: TestContext) {
    const port = await freePort();
    const as = await startAuthorizationServer(t, { redirectUri: `http://localhost:${port}/oauth/callback` });
    const app = await serveSdkPage(t, `http://localhost:${port}`);
    const server = await startTestServer(t, {
      integrations: authorizationServerIntegration(as),
      environment: { AS_SECRET: as.clientSecret },
      port,
      config: `allowed_redirect_urls: [${app.origin}/done, '${app.origin}/done?tab=1', ${app.origin}/]\n`,
    });
    return { server, app };
  }

  /** Connects by redirect. Resolves when the application’s page is back. */
  async function connectByRedirect(page: Page, options: string, button = '#approve'): Promise<void> {
    await page.evaluate(`void show(nango.connect('acme', '1', ${options}))`);
    await page.click(button);
    await page.waitForURL(/nango_code=/);
  }

  const outcome = async (page: Page): Promise<unknown> => {
    await page.waitForFunction('out.textContent !== ""', undefined, { timeout: 20_000 });
    return JSON.parse((await page.textContent('#out')) ?? '');
  };

  test('the page leaves for the provider, comes back, and has the result once', async (t) => {
    const { server, app } = await start(t);
    const page = await newPage(t);
    await page.goto(`${app.origin}/start?x=1#y`);
    await connectByRedirect(page, `{ mode: 'redirect', redirectUrl: '${app.origin}/done?tab=1' }`);
    await page.evaluate(`history.replaceState(null, '', location.href + '#part')`);
    await page.evaluate('show(nango.connectResult())');
    assert.deepEqual(await outcome(page), { integrationName: 'acme', userId: '1' });
    assert.equal(page.url(), `${app.origin}/done?tab=1#part`);
    assert.deepEqual(await page.evaluate('({ ...sessionStorage })'), {});
    assert.equal((await server.nango.getConnection('acme', '1')).returnValue.status, 'active');
    await page.evaluate('show(nango.connectResult())');
    assert.equal(await outcome(page), null);
  });

  test('without redirectUrl the browser returns to the same page; a refusal rejects', async (t) => {
    const { server, app } = await start(t);
    const page = await newPage(t);
    await page.goto(`${app.origin}/done?x=1`);
    await connectByRedirect(page, `{ mode: 'redirect' }`, '#deny');
    assert.equal(new URL(page.url()).pathname, '/done');
    await page.evaluate('show(nango.connectResult())');
    const { type, integrationName } = (await outcome(page)) as Record<string, string>;
    assert.deepEqual([type, integrationName], ['access_denied', 'acme']);
    assert.deepEqual((await server.nango.getConnections()).returnValue, []);
  });

  test('with a token the server’s page asks for a click, and a session’s redirectUrl takes precedence', async (t) => {
    const { server, app } = await start(t);
    const redirectUrl = `${app.origin}/done`;
    const { token } = (await server.nango.createConnectSession({ userId: '1', redirectUrl })).returnValue;
    const page = await newPage(t);
    await page.goto(`${app.origin}/`);
    const options = `{ mode: 'redirect', redirectUrl: '${app.origin}/', connectSessionToken: '${token}' }`;
    await page.evaluate(`void show(nango.connect('acme', '1', ${options}))`);
    await page.click('button');
    await page.click('#approve');
    await page.waitForURL(/\/done\?nango_code=/);
    await page.evaluate('show(nango.connectResult())');
    assert.deepEqual(await outcome(page), { integrationName: 'acme', userId: '1' });
  });

  test('a code without this tab’s own value is ignored, and a code of another attempt is refused', async (t) => {
    const { server, app } = await start(t);
    const options = `{ mode: 'redirect', redirectUrl: '${app.origin}/done' }`;
    const [mallory, page] = [await newPage(t), await newPage(t)];
    await mallory.goto(app.origin);
    await connectByRedirect(mallory, options);
    const stolen = mallory.url();
    await page.goto(stolen);
    await page.evaluate('show(nango.connectResult())');
    assert.equal(await outcome(page), null);
    await page.evaluate(`void show(nango.connect('acme', '2', ${options}))`);
    await page.waitForSelector('#approve');
    await page.goto(stolen);
    await page.evaluate('show(nango.connectResult())');
    const { type, integrationName } = (await outcome(page)) as Record<string, string>;
    assert.deepEqual([type, integrationName], ['invalid_code', 'acme']);
    // Neither used the code up for the tab to which it belongs.
    await mallory.evaluate('show(nango.connectResult())');
    assert.deepEqual(await outcome(mallory), { integrationName: 'acme', userId: '1' });
    assert.equal((await server.nango.getConnections()).returnValue.length, 1);
  });

  test('a redirectUrl that is not listed is invalid_request, and the page stays', async (t) => {
    const { app } = await start(t);
    const page = await newPage(t);
    await page.goto(`${app.origin}/start`);
    for (const options of [`{ mode: 'redirect' }`, `{ mode: 'redirect', redirectUrl: 'https://evil.example/' }`]) {
      await page.evaluate(`show(nango.connect('acme', '1', ${options}))`);
      assert.equal(((await outcome(page)) as { type: string }).type, 'invalid_request');
    }
    assert.equal(page.url(), `${app.origin}/start`);
  });

  for (const [name, options] of Object.entries<BrowserContextOptions>({
    'the browser of an app on Android': {
      userAgent: 'Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) Chrome/130.0 Mobile',
    },
    'the browser of an app on iOS': {
      userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E148 Instagram 1.0',
    },
    'an app on the home screen of iOS': {},
  }))
    test(`redirects by itself in ${name}`, async (t) => {
      const { app } = await start(t);
      const page = await newPage(t, options);
      if (options.userAgent === undefined)
        await page.addInitScript(`Object.defineProperty(navigator, 'standalone', { value: true })`);
      await page.goto(`${app.origin}/done`);
      await page.evaluate(`window.open = () => { throw new Error('a popup was opened'); }`);
      await connectByRedirect(page, '{}');
      await page.evaluate('show(nango.connectResult())');
      assert.deepEqual(await outcome(page), { integrationName: 'acme', userId: '1' });
    });

  test('a browser that permits no sessionStorage is storage_unavailable', async (t) => {
    const { app } = await start(t);
    const page = await newPage(t);
    await page.addInitScript(
      `Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('', 'SecurityError'); } })`,
    );
    await page.goto(`${app.origin}/done?nango_code=x`);
    await page.evaluate(`show(nango.connect('acme', '1', { mode: 'redirect' }))`);
    assert.equal(((await outcome(page)) as { type: string }).type, 'storage_unavailable');
    await page.evaluate('show(nango.connectResult())');
    assert.equal(await outcome(page), null);
  });

  test('connects the connection of the session again, which keeps its id', async (t) => {
    const { server, app } = await start(t);
    const { nango } = server;
    const key = { integration: 'acme', userId: '1', account: 'work' };
    const { id } = (await nango.registerConnection(key, { access_token: 'before' })).returnValue;
    const { token } = (await nango.createConnectSession({ connectionId: id })).returnValue;
    const page = await newPage(t);
    await page.goto(app.origin);
    // The account of the defaults is not meant.
    await page.evaluate(`window.nango = new Nango('${server.url}', { account: 'other' })`);
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      page.evaluate(`show(window.nango.reconnect('${id}', { connectSessionToken: '${token}' }))`),
    ]);
    await popup.click('#approve');
    assert.deepEqual(await outcome(page), { integrationName: 'acme', userId: '1', account: 'work' });
    const connection = (await nango.getConnection(key)).returnValue;
    assert.equal(connection.id, id);
    assert.notEqual(connection.credentials['access_token'], 'before');
  });

  test('needs a session for this connection', async (t) => {
    const { server, app } = await start(t);
    const { id } = (await server.nango.registerConnection('acme', '1', { access_token: 'x' })).returnValue;
    const { token } = (await server.nango.createConnectSession({ userId: '1' })).returnValue;
    const page = await newPage(t);
    await page.goto(app.origin);
    for (const [options, type] of [
      ['{}', 'unauthorized'],
      [`{ connectSessionToken: '${token}' }`, 'forbidden'],
    ] as const) {
      await page.evaluate(`show(nango.reconnect('${id}', ${options}))`);
      const { message, ...error } = (await outcome(page)) as Record<string, string>;
      assert.deepEqual(error, { type, integrationName: '' });
      assert.match(message ?? '', /createConnectSession\(\{ connectionId \}\)/);
    }
  });
});

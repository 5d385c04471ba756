import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { NangoClientError } from '@nangohq/node-client';
import type { Browser, Page } from 'playwright-core';
import { authorizationServerIntegration, startAuthorizationServer } from '../support/authorization-server.ts';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { listen } from '../support/listen.ts';
import { startTestServer, type TestServer } from '../support/nango-server.ts';

describe('links in Chromium', () => {
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

  async function start(t: TestContext, config = ''): Promise<TestServer> {
    const port = await freePort();
    const as = await startAuthorizationServer(t, { redirectUri: `http://localhost:${port}/oauth/callback` });
    return startTestServer(t, {
      integrations: authorizationServerIntegration(as),
      environment: { AS_SECRET: as.clientSecret },
      port,
      config: `application: { name: Acme <CRM> }\n${config}`,
    });
  }

  async function createLink({ nango }: TestServer, options: object = {}): Promise<string> {
    const endUser = { name: 'Ada Lovelace', email: 'ada@example.com' };
    const session = { userId: 'u-1', integrations: ['acme'], endUser, expiresInSeconds: 604_800, ...options };
    const { connectUrl } = (await nango.createConnectSession(session)).returnValue;
    assert.ok(connectUrl !== null);
    return connectUrl;
  }

  test('D9: a mailed link shows who asks and whose account it becomes, and connects after a click', async (t) => {
    const server = await start(t);
    const connectUrl = await createLink(server);
    const page = await newPage(t);
    const violations: string[] = [];
    page.on('console', (message) => violations.push(message.text()));
    await page.goto(connectUrl);
    assert.equal(await page.textContent('h1'), 'Connect acme to Acme <CRM>');
    const text = (await page.textContent('main')) ?? '';
    assert.match(text, /part of the account Ada Lovelace \(ada@example.com\) in Acme <CRM>/);
    await page.click('button');
    await page.click('#approve');
    await page.waitForSelector('text=You can close this window');
    assert.equal((await server.nango.getConnection('acme', 'u-1')).returnValue.status, 'active');
    await page.goto(connectUrl);
    assert.equal(await page.textContent('h1'), 'This link was used');
    assert.ok(!violations.some((message) => message.includes('Content Security Policy')), violations.join());
  });

  test('a user who refuses can try again with the same link, by going back or by opening it', async (t) => {
    const server = await start(t);
    const connectUrl = await createLink(server);
    const page = await newPage(t);
    await page.goto(connectUrl);
    await page.click('button');
    await page.click('#deny');
    await page.waitForSelector('text=To try again, open the link again.');
    await page.goto(connectUrl);
    await page.click('button');
    await page.waitForSelector('#approve');
    await page.goBack();
    await page.click('button:enabled');
    await page.click('#approve');
    await page.waitForSelector('text=You can close this window');
    assert.equal((await server.nango.getConnections()).returnValue.length, 1);
  });

  test('a link that is open in two places connects in one of them', async (t) => {
    const server = await start(t);
    const connectUrl = await createLink(server);
    const pages = [await newPage(t), await newPage(t)];
    for (const page of pages) {
      await page.goto(connectUrl);
      await page.click('button');
      await page.waitForSelector('#approve');
    }
    for (const page of pages) await page.click('#approve');
    await pages[0]?.waitForSelector('text=You can close this window');
    await pages[1]?.waitForSelector('text=This link has made another connection');
    assert.equal((await server.nango.getConnections()).returnValue.length, 1);
  });

  /** An application whose page /done confirms the connection for the user who is signed in there. */
  async function startApplication(t: TestContext) {
    let nango: TestServer['nango'] | undefined;
    const confirm = async ({ url = '', headers }: IncomingMessage): Promise<string> => {
      const code = new URL(url, 'http://app').searchParams.get('nango_code');
      if (code === null) return 'Signed in';
      const userId = /user=([\w-]+)/.exec(headers.cookie ?? '')?.[1] ?? 'nobody';
      const confirmed = await nango?.confirmConnection({ code, userId }).catch((error: NangoClientError) => error);
      return confirmed && 'returnValue' in confirmed ? 'Connected' : `Not connected: ${confirmed?.type}`;
    };
    const server = createServer(async (request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>${await confirm(request)}</h1>`),
    );
    const origin = `http://localhost:${await listen(t, server)}`;
    return { origin, use: (client: TestServer['nango']) => (nango = client) };
  }

  test('D9: with confirm, a link connects only for the user who is signed in', async (t) => {
    const app = await startApplication(t);
    const redirectUrl = `${app.origin}/done`;
    const server = await start(t, `allowed_redirect_urls: [${redirectUrl}]\n`);
    app.use(server.nango);
    for (const [signedIn, shown] of [
      ['victim', 'Not connected: forbidden'],
      ['u-1', 'Connected'],
    ] as const) {
      const page = await newPage(t);
      await page.context().addCookies([{ name: 'user', value: signedIn, url: app.origin }]);
      await page.goto(await createLink(server, { redirectUrl, confirm: true }));
      await page.click('button');
      await page.click('#approve');
      await page.waitForURL(/\/done\?nango_code=/);
      assert.equal(await page.textContent('h1'), shown);
      assert.equal((await server.nango.getConnections()).returnValue.length, signedIn === 'u-1' ? 1 : 0);
    }
  });
});

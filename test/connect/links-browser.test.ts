import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { authorizationServerIntegration, startAuthorizationServer } from '../support/authorization-server.ts';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
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

  async function start(t: TestContext): Promise<TestServer> {
    const port = await freePort();
    const as = await startAuthorizationServer(t, { redirectUri: `http://localhost:${port}/oauth/callback` });
    return startTestServer(t, {
      integrations: authorizationServerIntegration(as),
      environment: { AS_SECRET: as.clientSecret },
      port,
      config: 'application: { name: Acme <CRM> }',
    });
  }

  async function createLink({ nango }: TestServer): Promise<string> {
    const endUser = { name: 'Ada Lovelace', email: 'ada@example.com' };
    const session = { userId: 'u-1', integrations: ['acme'], endUser, expiresInSeconds: 604_800 };
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
});

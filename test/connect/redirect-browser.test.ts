import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { authorizationServerIntegration, startAuthorizationServer } from '../support/authorization-server.ts';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/nango-server.ts';
import { serveSdkPage } from '../support/sdk-page.ts';

describe('reconnect() in Chromium', () => {
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
    });
    return { server, app };
  }

  const outcome = async (page: Page): Promise<unknown> => {
    await page.waitForFunction('out.textContent !== ""', undefined, { timeout: 20_000 });
    return JSON.parse((await page.textContent('#out')) ?? '');
  };

  test('connects the connection of the session again, which keeps its id', async (t) => {
    const { server, app } = await start(t);
    const { nango } = server;
    const key = { integration: 'acme', userId: '1', account: 'work' };
    const { id } = (await nango.registerConnection(key, { access_token: 'before' })).returnValue;
    const { token } = (await nango.createConnectSession({ connectionId: id })).returnValue;
    const page = await newPage(t);
    await page.goto(app.origin);
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      page.evaluate(`show(nango.reconnect('${id}', { connectSessionToken: '${token}' }))`),
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

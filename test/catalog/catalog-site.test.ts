import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CATALOG_FOLDER } from '../../packages/server/src/package-files.ts';
import { launchChromium } from '../support/chromium.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('the catalog’s site has a page for each Blueprint, finds them, and sends no requests', async (t) => {
  const folder = temporaryFolder(t);
  await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../scripts/catalog-site.ts'), folder]);
  const pages = readdirSync(folder);
  assert.equal(pages.length, readdirSync(CATALOG_FOLDER).filter((file) => file.endsWith('.yaml')).length + 1);
  for (const page of pages) {
    const html = readFileSync(join(folder, page), 'utf8');
    assert.doesNotMatch(html, /<(script|img|link|iframe)[^>]+(src|href)=/i, page);
    for (const [, target = ''] of html.matchAll(/href="([\w.-]+\.html)"/g)) assert.ok(pages.includes(target), target);
  }
  const browser = await launchChromium();
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`file://${folder}/index.html`);
  await page.fill('#q', 'zoho crm');
  assert.equal(await page.textContent('#count'), '2 providers');
  await page.click('a[href="zoho-crm.html"]');
  assert.equal(await page.textContent('h1'), 'Zoho CRM');
  assert.match((await page.textContent('main')) ?? '', /extends_blueprint: zoho-crm:v0/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderPage } from './page.ts';
import { resultPage } from './result-page.ts';

test('F7: hostile text is plain text, in the page and in the script data', () => {
  const hostile = `</script><img src=x onerror=alert(1)>"'&\u2028`;
  const html = renderPage(
    resultPage({
      status: 'failed',
      integration: hostile,
      userId: hostile,
      account: 'default',
      origin: 'https://app.example',
      error: { type: hostile, message: hostile },
    }),
  );
  assert.equal(html.match(/<script/g)?.length, 2);
  assert.equal(html.match(/<\/script>/g)?.length, 2);
  assert.ok(!html.includes('<img'));
  assert.ok(!html.includes('\u2028') || !/<script type="application\/json"[^]*\u2028[^]*<\/script>/.test(html));
  const data = /id="data">(.*?)<\/script>/.exec(html)?.[1] ?? '';
  assert.equal(JSON.parse(data).message.error.message, hostile);
});

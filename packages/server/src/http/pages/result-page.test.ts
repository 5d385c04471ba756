import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify from 'fastify';
import { NangoError } from '../../errors/nango-error.ts';
import type { ErrorCode } from '../../errors/registry.ts';
import { renderPage } from './page.ts';
import { resultPage, sendFailurePage, type FailureContext } from './result-page.ts';

test('F7: hostile text is plain text, in the page and in the script data', () => {
  const hostile = `</script><img src=x onerror=alert(1)>"'&\u2028`;
  const html = renderPage(
    resultPage({
      status: 'failed',
      integration: hostile,
      userId: hostile,
      account: 'default',
      origin: 'https://app.example',
      alsoConnectedAs: [],
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

test('shows a user only what they may know, and shows the developer of a loopback root everything', async (t) => {
  const failurePage = async (code: ErrorCode, root: string) => {
    const app = fastify();
    t.after(() => app.close());
    const context = {
      config: () => ({ server: { oauth_server_root_url: new URL(root) } }),
    } as unknown as FailureContext;
    const error = new NangoError(code, 'The value of table t, row r is damaged.');
    app.get('/', (request, reply) => sendFailurePage(error, { request, reply, context }));
    const { statusCode, body } = await app.inject('/');
    const type = /<code>(\w+)<\/code>/.exec(body)?.[1];
    return { statusCode, type, hasMessage: body.includes('row r') };
  };
  const user = 'https://nango.example';
  const developer = 'http://localhost:3003';
  const code = 'credentials_unreadable';
  assert.deepEqual(await failurePage(code, user), { statusCode: 500, type: 'internal_error', hasMessage: false });
  assert.deepEqual(await failurePage(code, developer), { statusCode: 500, type: code, hasMessage: true });
  assert.deepEqual(await failurePage('unauthorized', user), {
    statusCode: 401,
    type: 'unauthorized',
    hasMessage: false,
  });
  assert.deepEqual(await failurePage('invalid_state', user), {
    statusCode: 400,
    type: 'invalid_state',
    hasMessage: true,
  });
});

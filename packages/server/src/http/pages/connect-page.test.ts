import assert from 'node:assert/strict';
import fastify from 'fastify';
import { test } from 'node:test';
import { secret } from '../../../../../test/support/secrets.ts';
import { sendConnectPage } from './connect-page.ts';

const HOSTILE = `</title></script><img src=x onerror=alert(1)>"'&\u2028`;

async function connectPage() {
  const app = fastify();
  const endUser = { name: HOSTILE, email: HOSTILE };
  const names = { integration: HOSTILE, userId: HOSTILE, account: HOSTILE, origin: HOSTILE };
  const waiting = { ...names, endUser, needsProof: true };
  const application = { name: HOSTILE, logo: `data:image/svg+xml,${HOSTILE}` };
  app.get('/', (_request, reply) => sendConnectPage(reply, { attempt: secret(HOSTILE), waiting, application }));
  return app.inject('/');
}

test('F7: a hostile user id, integration and application are plain text on the page', async () => {
  const { body } = await connectPage();
  assert.equal(body.match(/<script/g)?.length, 2);
  assert.equal(body.match(/<\/script>/g)?.length, 2);
  assert.equal(body.match(/<\/title>/g)?.length, 1);
  assert.equal(body.match(/<img/g)?.length, 1);
  assert.equal(body.match(/<img src="[^"]*" alt="">/g)?.length, 1);
  const data = /id="data">(.*?)<\/script>/.exec(body)?.[1] ?? '';
  assert.ok(!data.includes('\u2028'));
  assert.deepEqual(JSON.parse(data), { attempt: HOSTILE, origin: HOSTILE });
});

test('F7, F11: the page runs scripts and styles only by hash, loads nothing, is not framed or stored', async () => {
  const { headers } = await connectPage();
  const policy = String(headers['content-security-policy']).replaceAll(/'sha256-[\w+/]+='/g, 'HASH');
  assert.deepEqual(policy.split('; '), [
    "default-src 'none'",
    'script-src HASH',
    'style-src HASH',
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
  assert.deepEqual(
    [headers['x-frame-options'], headers['referrer-policy'], headers['cache-control']],
    ['DENY', 'no-referrer', 'no-store'],
  );
});

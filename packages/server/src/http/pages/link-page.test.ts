import assert from 'node:assert/strict';
import { test } from 'node:test';
import fastify from 'fastify';
import { sendLinkPage } from './link-page.ts';

const HOSTILE = `</title></script><img src=x onerror=alert(1)>"'&\u2028`;

test('F7: a hostile person, integration and application are plain text on the page of a link', async () => {
  const app = fastify();
  const link = { userId: HOSTILE, endUser: { name: HOSTILE, email: HOSTILE }, integrations: [HOSTILE, HOSTILE] };
  app.get('/', (_request, reply) => sendLinkPage(reply, link, { name: HOSTILE, logo: undefined }));
  const { body, headers } = await app.inject('/');
  assert.equal(body.match(/<script/g)?.length, 2);
  assert.equal(body.match(/<\/script>/g)?.length, 2);
  assert.equal(body.match(/<\/title>/g)?.length, 1);
  assert.ok(!body.includes('<img'));
  assert.equal(body.match(/<button type="button" value="[^"<>]*">/g)?.length, 2);
  assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'sha256-/);
});

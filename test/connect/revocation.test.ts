import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestServer } from '../support/nango-server.ts';
import { scriptedIntegration, startScriptedProvider } from '../support/scripted-provider.ts';

test('deleteConnection revokes at the provider first, and keeps the connection if that fails', async (t) => {
  const provider = await startScriptedProvider(t, () => ({ status: 503, body: 'down rt-CANARY' }));
  const auth = `      revocation_url: ${provider.url}/revoke`;
  const integrations = `integrations:${scriptedIntegration(provider.url, { auth })}`;
  const { nango } = await startTestServer(t, { integrations });
  await nango.registerConnection('acme', '1', { access_token: 'at', refresh_token: 'rt-CANARY' });
  await nango.registerConnection('acme', '2', { access_token: 'at-2' });

  await assert.rejects(
    nango.deleteConnection('acme', '1', { revoke: true }),
    (error: Error & { type: string }) => error.type === 'provider_error' && /503: down \[secret\]/.test(error.message),
  );
  assert.equal((await nango.getConnectionsForUserId('1')).returnValue.length, 1);

  provider.answer = () => ({ body: '' });
  await nango.deleteConnection('acme', '1', { revoke: true });
  await nango.deleteConnection('acme', '2', { revoke: true });
  assert.deepEqual((await nango.getConnectionsForIntegration('acme')).returnValue, []);
  const [, first, second] = provider.requests;
  assert.deepEqual(Object.fromEntries(first?.form ?? []), { token: 'rt-CANARY', token_type_hint: 'refresh_token' });
  assert.equal(
    first?.headers.authorization,
    `Basic ${Buffer.from('client-1:client-secret-CANARY-7f3a').toString('base64')}`,
  );
  assert.deepEqual(Object.fromEntries(second?.form ?? []), { token: 'at-2', token_type_hint: 'access_token' });
});

test('a revocation that the provider does not support is rejected, and nothing is deleted', async (t) => {
  const { nango } = await startTestServer(t, {
    integrations: `integrations:${scriptedIntegration('https://acme.example')}`,
  });
  await nango.registerConnection('acme', '1', { access_token: 'at' });
  await assert.rejects(nango.deleteConnection('acme', '1', { revoke: true }), {
    type: 'unsupported_auth_mode',
    message: /revocation_url/,
  });
  await nango.deleteConnection('acme', '1');
  await assert.rejects(nango.deleteConnection('acme', '1', { revoke: true }), { type: 'connection_not_found' });
});

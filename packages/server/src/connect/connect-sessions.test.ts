import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionContext } from '../connections/connection-context.ts';
import { assertMayConnect } from './connect-sessions.ts';

const LOCAL = { address: '127.0.0.1', host: 'localhost:3003', isForwarded: false };

function mayConnect(route: Partial<typeof LOCAL>, rootUrl = 'http://localhost:3003') {
  const server = { oauth_server_root_url: new URL(rootUrl), allow_connect_without_session: false };
  const context = { config: () => ({ server }) } as unknown as ConnectionContext;
  const requester = { token: undefined, origin: undefined, route: { ...LOCAL, ...route } };
  return assertMayConnect({ integration: 'acme', userId: '1' }, requester, context);
}

test('F2: without a token, only requests of this machine may connect, and only with a loopback root', async () => {
  for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) await mayConnect({ address });
  for (const route of [
    { address: '192.168.1.5' },
    { address: '::ffff:192.168.1.5' },
    { address: 'fe80::1' },
    { address: '127.0.0.1.evil.example' },
    { address: '' },
    { host: 'nango.internal' },
    { host: '' },
    { isForwarded: true },
  ])
    await assert.rejects(mayConnect(route), { code: 'unauthorized' }, JSON.stringify(route));
  await assert.rejects(mayConnect({}, 'https://nango.example.com'), { code: 'unauthorized' });
});

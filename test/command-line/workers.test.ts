import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { listen } from '../support/listen.ts';
import { startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SECRET_KEY = 'workers-secret-key-0123456789';

test('several workers respond on one port, report their metrics together, and replace one that dies', async (t) => {
  const api = createServer((_request, response) => response.end('ok'));
  const apiUrl = `http://localhost:${await listen(t, api)}`;
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': `integrations:
  acme:
    auth: { auth_mode: API_KEY }
    requests: { base_url: '${apiUrl}/', headers: { X-Key: '\${api_key}' } }
`,
  });
  const server = await startServerProcess(t, {
    folder,
    url,
    environment: { NANGO_SECRET_KEY: SECRET_KEY, NANGO_DATA_DIR: join(temporaryFolder(t), 'data') },
    flags: ['--workers', '2'],
  });
  const printed = async (text: string) => {
    while (!server.output().includes(text)) await new Promise((resolve) => setImmediate(resolve));
    const line = server
      .output()
      .split('\n')
      .find((one) => one.includes(text));
    return JSON.parse(line ?? '{}') as { workers?: number; pid?: number };
  };
  assert.equal((await printed('Nango is ready')).workers, 2);
  const headers = { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/json', connection: 'close' };
  const body = JSON.stringify({ integration: 'acme', userId: '1', credentials: { api_key: 'k' } });
  assert.equal((await fetch(`${url}/api/connections`, { method: 'POST', headers, body })).status, 201);
  const call = () =>
    fetch(`${url}/proxy/x`, { headers: { ...headers, 'nango-integration': 'acme', 'nango-user-id': '1' } });
  for (let count = 0; count < 10; count += 1) assert.equal((await call()).status, 200);
  const metrics = await (await fetch(`${url}/metrics`, { headers })).text();
  assert.match(metrics, /nango_api_calls_total\{integration="acme",via="proxy",status="200"\} 10/);

  process.kill((await printed('a worker is ready')).pid ?? assert.fail(), 'SIGKILL');
  await printed('another takes its place');
  assert.equal((await call()).status, 200);
  assert.equal(await server.stop(), 0, server.output());
});

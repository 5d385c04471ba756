import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { test } from 'node:test';
import Nango from '@nangohq/node-client';
import { freePort } from '../support/free-port.ts';
import { listen } from '../support/listen.ts';
import { ENCRYPTION_KEY, SECRET_KEY } from '../support/nango-server.ts';
import { startServerProcess } from '../support/server-process.ts';
import { temporaryFolder, type Cleanup } from '../support/temporary-folder.ts';

const fixture = (name: string) => join(import.meta.dirname, '../fixtures/tls', name);
const read = (name: string) => readFileSync(fixture(name), 'utf8');

/** A provider that identifies its clients only by certificate (RFC 8705). */
async function startMutualTlsProvider(cleanup: Cleanup) {
  const seen: { path: string; client: unknown; body: string }[] = [];
  const server = createServer(
    {
      key: read('server.key'),
      cert: read('server.crt'),
      ca: read('client.crt'),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const { socket } = request;
        const client = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
        seen.push({ path: request.url ?? '', client, body });
        response.setHeader('content-type', 'application/json').end('{"access_token":"at","token_type":"bearer"}');
      });
    },
  );
  return { seen, url: `https://localhost:${await listen(cleanup, server)}` };
}

test('tls_client_auth: only the token endpoint and the API get the certificate', async (t) => {
  const provider = await startMutualTlsProvider(t);
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const integration = (name: string, certificate: string) => `  ${name}:
    oauth_client_id: client
    oauth_scopes: []
${certificate}
    auth:
      auth_mode: OAUTH2
      authorization_method: ${certificate === '' ? 'none' : 'tls_client_auth'}
      token_url: ${provider.url}/token
      token_params: { grant_type: client_credentials }
    requests: { base_url: '${provider.url}/' }
`;
  const certificate = '    client_certificate: ${CERTIFICATE}\n    client_certificate_key: ${KEY}';
  const folder = temporaryFolder(t, {
    'nango-config.yaml': `oauth_server_port: ${port}\noauth_server_root_url: ${url}\n`,
    'integrations.yaml': `integrations:\n${integration('acme', certificate)}${integration('without', '')}`,
  });
  await startServerProcess(t, {
    folder,
    url,
    environment: {
      NANGO_SECRET_KEY: SECRET_KEY,
      NANGO_ENCRYPTION_KEY: ENCRYPTION_KEY,
      NANGO_DATA_DIR: join(folder, 'data'),
      NODE_EXTRA_CA_CERTS: fixture('server.crt'),
      CERTIFICATE: read('client.crt'),
      KEY: read('client.key'),
    },
  });
  const connect = async (name: string) => {
    const response = await fetch(`${url}/oauth/attempts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ integration: name, userId: '1' }),
    });
    return ((await response.json()) as { status?: string; error?: { type: string } }).status ?? 'failed';
  };
  assert.equal(await connect('acme'), 'succeeded');
  assert.equal(await connect('without'), 'failed');
  const nango = new Nango({ serverUrl: url, secretKey: SECRET_KEY });
  t.after(() => nango.close());
  await nango.request('acme', '1', { endpoint: 'me' });
  assert.deepEqual(provider.seen, [
    { path: '/token', client: 'client', body: 'grant_type=client_credentials&client_id=client' },
    { path: '/me', client: 'client', body: '' },
  ]);
});

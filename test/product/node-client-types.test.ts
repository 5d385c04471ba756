import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import { NangoAction } from '@nangohq/action';
import { NangoClientError } from '@nangohq/node-client';
import type * as Client from '@nangohq/node-client';

/** This is only compiled and never run, because the compiler is the test. */
export async function compiles(nango: Client.Nango): Promise<void> {
  const { returnValue: connection } = await nango.getConnection('slack', '1');
  if (connection.authMode === 'OAUTH2') {
    const token: string = connection.credentials.access_token;
    const life: string | undefined = connection.credentials.expires_at;
    void [token, life];
  }
  const perhaps: string | undefined = connection.credentials.access_token;
  const { returnValue: response } = await nango.request<{ id: number }>('slack', '1', { endpoint: 'me' });
  const id: number | undefined = response.json?.id;
  const { returnValue: result } = await nango.triggerAction<{ sum: number }>('slack', 'add', '1', { a: 1 });
  const sum: number = result.sum;
  for await (const item of nango.paginate<{ name: string }>('slack', '1', { endpoint: 'x' })) void item.name.length;
  void [perhaps, id, sum];
  await nango.registerConnection('slack', '1', { access_token: 'x', team: 'more is kept under raw' });
  await nango.registerConnection('machine', '1', {});
  await nango.registerConnection<Client.DeclaredCredentials>('shop', '1', { shop: 'a', code: 'b' });
  // @ts-expect-error -- a slip of the pen
  await nango.registerConnection('slack', '1', { acces_token: 'x' });
  // @ts-expect-error -- half of it
  await nango.registerConnection('twitter', '1', { oauth_token: 'x' });
  const type: Client.NangoErrorType = 'connection_not_found';
  const later: Client.NangoErrorType = 'a_code_of_a_newer_server';
  void [type, later];
}

/** The same for Actions. */
export class CompilesAction extends NangoAction {
  override async executeAction(): Promise<void> {
    const { json } = await this.httpRequest<{ id: number }>('me', 'GET');
    const id: number | undefined = json?.id;
    const { json: untyped } = await this.httpRequest('me', 'GET');
    // @ts-expect-error -- nobody said what it is
    void untyped.id;
    for await (const item of this.paginate<{ name: string }>('users')) void item.name.length;
    void id;
  }
}

test('the client loads without Node and without require, and verifies webhooks there', async () => {
  const code = readFileSync(join(import.meta.dirname, '../../packages/node-client/dist/index.cjs'), 'utf8');
  const { Headers, TextEncoder, TextDecoder, URL, URLSearchParams, AbortController, crypto, atob, Uint8Array } =
    globalThis;
  const globals = {
    Headers,
    TextEncoder,
    TextDecoder,
    URL,
    URLSearchParams,
    AbortController,
    crypto,
    atob,
    Uint8Array,
  };
  const context = createContext({ ...globals, module: { exports: {} } });
  const client = runInContext(`${code}; module.exports`, context) as typeof Client;
  const made = new client.Nango({ serverUrl: 'https://nango.example', secretKey: 'k' });
  assert.equal(typeof made.request, 'function');
  const secret = `whsec_${btoa('0123456789abcdef0123456789abcdef')}`;
  const now = () => 1_800_000_000_000;
  const body = '{"type":"connection.created","data":{}}';
  const key = await crypto.subtle.importKey(
    'raw',
    new TextEncoder().encode('0123456789abcdef0123456789abcdef'),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  );
  const signature = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`evt_1.1800000000.${body}`));
  const base64 = Buffer.from(signature).toString('base64');
  const headers = { 'webhook-id': 'evt_1', 'webhook-timestamp': '1800000000', 'webhook-signature': `v1,${base64}` };
  assert.equal((await client.verifyWebhookAsync(body, headers, { secret, now })).id, 'evt_1');
  await assert.rejects(client.verifyWebhookAsync(`${body} `, headers, { secret, now }), { type: 'invalid_signature' });
  assert.throws(() => client.verifyWebhook(body, headers, { secret, now }), { message: /verifyWebhookAsync/ });
  assert.ok(new NangoClientError('x', 'y') instanceof Error);
});

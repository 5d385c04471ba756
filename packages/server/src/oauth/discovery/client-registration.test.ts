import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registerClient } from './client-registration.ts';
import { secret } from '../../../../../test/support/secrets.ts';

const METADATA = {
  redirect_uris: ['https://nango.example/oauth/callback'],
  grant_types: ['authorization_code'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
};

test('no message quotes a secret of an error response', async () => {
  const body = JSON.stringify({ client_secret: 'registered-secret', error_description: 'registered-secret is taken' });
  const register = () =>
    registerClient('https://as.example/register', METADATA, async () => ({
      status: 409,
      contentType: '',
      body: secret(body),
    }));
  await assert.rejects(register, { code: 'provider_error', message: /409: .*"\[secret\] is taken"/ });
});

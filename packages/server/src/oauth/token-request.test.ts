import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientSecretBasic,
  clientSecretBasicUnencoded,
  type ClientAuthenticationMethod,
} from './client-authentication.ts';
import { tokenRequest } from './token-request.ts';
import { secret } from '../../../../test/support/secrets.ts';

async function refusedWith(authenticate: ClientAuthenticationMethod, client_secret: string, error = 'invalid_client') {
  const endpoint = {
    url: 'https://acme.example/token',
    client: { client_id: 'client', client_secret: secret(client_secret) },
    authenticate,
    bodyFormat: 'form',
    method: 'POST',
    headers: {},
    names: {},
    response: { tokenTypes: undefined, paths: {}, expiresInUnit: 'seconds' },
  } as const;
  const response = { status: 401, contentType: 'application/json', body: secret(JSON.stringify({ error })) };
  const thrown: unknown = await tokenRequest(endpoint, { grant: {}, params: {} }, () =>
    Promise.resolve(response),
  ).catch((reason: unknown) => reason);
  assert.ok(thrown instanceof Error && 'error' in thrown);
  assert.equal(thrown.error, error);
  return thrown.message;
}

test('T7: invalid_client suggests basic_encoding: plain if the secret has special characters', async () => {
  const message = await refusedWith(clientSecretBasic, 'p+w/CANARY');
  assert.match(message, /invalid_client .*auth\.basic_encoding: plain/);
  assert.doesNotMatch(message, /CANARY/);
});

test('T7: nothing is suggested if it cannot help', async () => {
  for (const message of [
    await refusedWith(clientSecretBasic, 'plain-secret_1.x'),
    await refusedWith(clientSecretBasicUnencoded, 'p+w/x'),
    await refusedWith(clientSecretBasic, 'p+w/x', 'invalid_grant'),
  ])
    assert.doesNotMatch(message, /basic_encoding/);
});

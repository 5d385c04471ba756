import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientSecretBasic,
  clientSecretBasicUnencoded,
  clientSecretPost,
  noClientSecret,
  type ClientAuthentication,
} from './client-authentication.ts';
import { revealed, secret } from '../../../../test/support/secrets.ts';

const decode = ({ basic }: ClientAuthentication) => Buffer.from(basic?.reveal() ?? '', 'base64').toString();

test('T7: client_secret_basic form-encodes id and secret before Basic (RFC 6749 §2.3.1)', () => {
  const client = { client_id: 'a:b', client_secret: secret('%+ ä&=~') };
  assert.equal(decode(clientSecretBasic(client)), 'a%3Ab:%25%2B+%C3%A4%26%3D%7E');
});

test('T7: the unencoded variant sends id and secret unchanged, in UTF-8', () => {
  assert.equal(decode(clientSecretBasicUnencoded({ client_id: 'a', client_secret: secret('%+ ä') })), 'a:%+ ä');
});

test('client_secret_post and none are sent in the body', () => {
  const client = { client_id: 'a', client_secret: secret('s') };
  assert.deepEqual(revealed(clientSecretPost(client)), { params: { client_id: 'a', client_secret: 's' } });
  assert.deepEqual(revealed(noClientSecret(client)), { params: { client_id: 'a' } });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientSecretBasic,
  clientSecretBasicUnencoded,
  clientSecretPost,
  noClientSecret,
} from './client-authentication.ts';

const decode = (header: string | undefined) => Buffer.from((header ?? '').replace('Basic ', ''), 'base64').toString();

test('T7: client_secret_basic form-encodes id and secret before Basic (RFC 6749 §2.3.1)', () => {
  const client = { client_id: 'a:b', client_secret: '%+ ä&=~' };
  assert.equal(decode(clientSecretBasic(client).headers['authorization']), 'a%3Ab:%25%2B+%C3%A4%26%3D%7E');
});

test('T7: the unencoded variant sends both as they are, in UTF-8', () => {
  assert.equal(
    decode(clientSecretBasicUnencoded({ client_id: 'a', client_secret: '%+ ä' }).headers['authorization']),
    'a:%+ ä',
  );
});

test('client_secret_post and none put themselves into the body', () => {
  assert.deepEqual(clientSecretPost({ client_id: 'a', client_secret: 's' }), {
    headers: {},
    params: { client_id: 'a', client_secret: 's' },
  });
  assert.deepEqual(noClientSecret({ client_id: 'a', client_secret: 's' }), { headers: {}, params: { client_id: 'a' } });
});

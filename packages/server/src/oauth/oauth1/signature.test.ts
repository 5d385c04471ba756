import assert from 'node:assert/strict';
import { createHash, createVerify, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { oauth1AuthorizationHeader } from './authorization-header.ts';
import { bodyHashParameter } from './body-hash.ts';
import { percentEncode } from './percent-encoding.ts';
import { signatureBaseString } from './signature-base-string.ts';
import { SIGNATURE_METHODS } from './signature-method.ts';
import { secret } from '../../../../../test/support/secrets.ts';

test('percent-encodes all but unreserved characters, in UTF-8 and upper case (RFC 5849 §3.6)', () => {
  assert.equal(percentEncode("azAZ09-._~!*'()/ +%ü☃"), 'azAZ09-._~%21%2A%27%28%29%2F%20%2B%25%C3%BC%E2%98%83');
});

test('builds the base string of RFC 5849 §3.4.1.1', () => {
  const parameters = [
    ['oauth_consumer_key', '9djdj82h48djs9d2'],
    ['oauth_token', 'kkk9d7dh3k39sjv7'],
    ['oauth_signature_method', 'HMAC-SHA1'],
    ['oauth_timestamp', '137131201'],
    ['oauth_nonce', '7d8f3e4a'],
    ...new URLSearchParams('c2&a3=2+q'),
  ] as const;
  assert.equal(
    signatureBaseString({
      method: 'post',
      url: 'http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b',
      parameters,
    }),
    'POST&http%3A%2F%2Fexample.com%2Frequest&' +
      'a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26' +
      'oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26' +
      'oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
  );
});

test('keeps a port that is not the scheme’s (RFC 5849 §3.4.1.2)', () => {
  assert.equal(
    signatureBaseString({ method: 'GET', url: 'https://www.example.net:8080/?q=1', parameters: [] }),
    'GET&https%3A%2F%2Fwww.example.net%3A8080%2F&q%3D1',
  );
});

test('signs the token and the resource request of RFC 5849 §1.2', () => {
  const client = { clientSecret: secret('kd94hf93k423kf44') };
  const protocol = (token: string, timestamp: string, nonce: string) =>
    [
      ['oauth_consumer_key', 'dpf43f3p2l4k3l03'],
      ['oauth_token', token],
      ['oauth_signature_method', 'HMAC-SHA1'],
      ['oauth_timestamp', timestamp],
      ['oauth_nonce', nonce],
    ] as const;
  const token = signatureBaseString({
    method: 'POST',
    url: 'https://photos.example.net/token',
    parameters: [...protocol('hh5s93j4hdidpola', '137131201', 'walatlh'), ['oauth_verifier', 'hfdp7dh39dks9884']],
  });
  assert.equal(
    SIGNATURE_METHODS['HMAC-SHA1'](token, { ...client, tokenSecret: secret('hdhd0244k9j7ao03') }),
    'gKgrFCywp7rO0OXSjdot/IHF7IU=',
  );
  const resource = signatureBaseString({
    method: 'GET',
    url: 'http://photos.example.net/photos?file=vacation.jpg&size=original',
    parameters: protocol('nnch734d00sl2jdk', '137131202', 'chapoH'),
  });
  assert.equal(
    SIGNATURE_METHODS['HMAC-SHA1'](resource, { ...client, tokenSecret: secret('pfkkdhi9sl3r4s00') }),
    'MdpQcU8iPSUjWoN/UDMsK2sui9I=',
  );
});

test('PLAINTEXT is both secrets, encoded (RFC 5849 §3.4.4)', () => {
  assert.equal(
    SIGNATURE_METHODS.PLAINTEXT('', { clientSecret: secret('a&b'), tokenSecret: secret('c%') }),
    'a%26b&c%25',
  );
  assert.equal(SIGNATURE_METHODS.PLAINTEXT('', { clientSecret: secret('a'), tokenSecret: secret('') }), 'a&');
});

test('RSA signatures verify with the public key, and a secret that is not a key is a clear error', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const clientSecret = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  for (const method of ['RSA-SHA1', 'RSA-SHA256'] as const) {
    const signature = SIGNATURE_METHODS[method]('base', {
      clientSecret: secret(clientSecret),
      tokenSecret: secret('x'),
    });
    assert.ok(createVerify(method).update('base').verify(publicKey, signature, 'base64'));
  }
  assert.throws(
    () => SIGNATURE_METHODS['RSA-SHA1']('base', { clientSecret: secret('CANARY'), tokenSecret: secret('') }),
    (error: Error) => /PEM/.test(error.message) && !error.message.includes('CANARY'),
  );
});

test('the header holds the protocol parameters and nothing of the form or query', () => {
  const header = oauth1AuthorizationHeader(
    {
      method: 'POST',
      url: 'https://a.example/?q=1',
      formParameters: [['f', '2']],
      protocolParameters: { oauth_callback: 'https://b.example/?state=s' },
    },
    { clientId: 'id', clientSecret: secret('secret'), signatureMethod: 'PLAINTEXT' },
    { timestamp: 1, nonce: 'n' },
  );
  assert.equal(
    header.reveal(),
    'OAuth oauth_consumer_key="id", oauth_signature_method="PLAINTEXT", oauth_timestamp="1", ' +
      'oauth_nonce="n", oauth_version="1.0", ' +
      'oauth_callback="https%3A%2F%2Fb.example%2F%3Fstate%3Ds", oauth_signature="secret%26"',
  );
});

test('oauth_body_hash is the hash of the body by the signature’s own function', () => {
  // The examples of the OAuth Request Body Hash draft 4, §4.
  assert.deepEqual(bodyHashParameter('Hello World!', 'HMAC-SHA1'), { oauth_body_hash: 'Lve95gjOVATpfV8EL5X4nxwjKHE=' });
  assert.deepEqual(bodyHashParameter('', 'RSA-SHA1'), { oauth_body_hash: '2jmj7l5rSw0yVb/vlWAYkK/YBwk=' });
  const { oauth_body_hash } = bodyHashParameter('ü', 'HMAC-SHA256');
  assert.equal(oauth_body_hash, createHash('sha256').update('ü').digest('base64'));
  assert.deepEqual(bodyHashParameter('x', 'PLAINTEXT'), {});
});

import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, verify, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { jwtVerify } from 'jose';
import type { Secret } from '../vault/secret.ts';
import { JWT_ALGORITHMS, signJwt } from './json-web-token.ts';
import { secret } from '../../../../test/support/secrets.ts';

const split = (jwt: Secret<string>) => {
  const [header = '', payload = '', signature = ''] = jwt.reveal().split('.');
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as unknown;
  return {
    header: parse(header),
    payload: parse(payload),
    input: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, 'base64url'),
  };
};

test('HS256 is the HMAC of header and payload', () => {
  const { header, payload, input, signature } = split(
    signJwt({ iss: 'ü' }, { algorithm: 'HS256', key: secret('secret') }),
  );
  assert.deepEqual([header, payload], [{ alg: 'HS256', typ: 'JWT' }, { iss: 'ü' }]);
  assert.deepEqual(signature, createHmac('sha256', 'secret').update(input).digest());
});

test('RS256 and ES256 verify with the public key', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = (key: typeof rsa.privateKey) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const signed = split(signJwt({ a: 1 }, { algorithm: 'RS256', key: secret(pem(rsa.privateKey)), keyId: 'k' }));
  assert.ok(verify('sha256', signed.input, rsa.publicKey, signed.signature));
  assert.deepEqual(signed.header, { alg: 'RS256', typ: 'JWT', kid: 'k' });
  const curve = split(signJwt({ a: 1 }, { algorithm: 'ES256', key: secret(pem(ec.privateKey)) }));
  assert.ok(verify('sha256', curve.input, { key: ec.publicKey, dsaEncoding: 'ieee-p1363' }, curve.signature));
  for (const key of ['CANARY', pem(ec.privateKey)])
    assert.throws(() => signJwt({}, { algorithm: 'RS256', key: secret(key) }), {
      code: 'invalid_value',
      message: 'The key must be an RSA private key in PEM.',
    });
});

for (const algorithm of JWT_ALGORITHMS) {
  test(`${algorithm} is verified by another implementation`, async () => {
    const pairs: Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }> = {
      RS: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
      PS: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
      ES: () => generateKeyPairSync('ec', { namedCurve: algorithm === 'ES384' ? 'P-384' : 'P-256' }),
      Ed: () => generateKeyPairSync('ed25519'),
    };
    const pair = pairs[algorithm.slice(0, 2)]?.();
    const key = pair?.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() ?? 'shared secret';
    const jwt = signJwt({ iss: 'a', exp: 4_000_000_000 }, { algorithm, key: secret(key) });
    const { payload, protectedHeader } = await jwtVerify(jwt.reveal(), pair?.publicKey ?? Buffer.from(key));
    assert.deepEqual([payload.iss, protectedHeader.alg], ['a', algorithm]);
  });
}

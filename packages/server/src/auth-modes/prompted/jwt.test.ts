import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { jwtVerify } from 'jose';
import { integrationOf } from '../../../../../test/support/integration.ts';
import type { AuthModeContext } from '../auth-mode.ts';
import { jwt } from './jwt.ts';
import { secret } from '../../../../../test/support/secrets.ts';

const NOW = Date.UTC(2026, 0, 1);
const context = { now: () => NOW } as AuthModeContext;
const REQUEST = { method: 'GET', url: 'https://api.example/', headers: {}, body: undefined };

/** Registers prompted values and signs a request. jose verifies the token. */
async function signed(auth: Record<string, unknown>, values: Record<string, string>, key: KeyObject | Uint8Array) {
  const integration = integrationOf(jwt, auth);
  const given = { integration, config: {}, values: secret(values) };
  const credentials = (await jwt.prompted?.accept(given, context)) ?? assert.fail();
  const signing = { credentials, integration, config: {}, context: { now: () => NOW, randomToken: () => '' } };
  const [scheme = '', token = ''] = (jwt.sign?.(REQUEST, signing)['authorization'] ?? '').split(' ');
  const { payload, protectedHeader } = await jwtVerify(token, key, { currentDate: new Date(NOW) });
  return { scheme, payload, header: protectedHeader };
}

const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const seconds = NOW / 1000;

test('as GitHub Apps do: RS256, backdated, ten minutes', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { scheme, payload } = await signed(
    {
      credentials: { app_id: {}, private_key: {} },
      jwt: { key: '${raw.private_key}', claims: { iss: '${raw.app_id}' }, lifetime_seconds: 540, backdate_seconds: 60 },
    },
    { app_id: '12345', private_key: pem(privateKey) },
    publicKey,
  );
  assert.equal(scheme, 'Bearer');
  assert.deepEqual(payload, { iss: '12345', iat: seconds - 60, exp: seconds + 540 });
});

test('as App Store Connect does: ES256 with a key id', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { payload, header } = await signed(
    {
      credentials: { issuer_id: {}, key_id: {}, private_key: {} },
      jwt: {
        algorithm: 'ES256',
        key: '${raw.private_key}',
        key_id: '${raw.key_id}',
        claims: { iss: '${raw.issuer_id}', aud: 'appstoreconnect-v1' },
      },
    },
    { issuer_id: 'i', key_id: 'K1', private_key: pem(privateKey) },
    publicKey,
  );
  assert.equal(header.kid, 'K1');
  assert.deepEqual(payload, { iss: 'i', aud: 'appstoreconnect-v1', iat: seconds, exp: seconds + 300 });
});

test('as Ghost does: one prompted key, whose halves are id and hexadecimal secret, under its own scheme', async () => {
  const secret = 'ab'.repeat(32);
  const auth = {
    credentials: { admin_key: { pattern: '(?<id>[0-9a-f]{8}):(?<secret>[0-9a-f]{64})' } },
    jwt: {
      algorithm: 'HS256',
      key: '${raw.secret}',
      key_encoding: 'hex',
      key_id: '${raw.id}',
      claims: { aud: '/admin/' },
    },
    authorization_scheme: 'Ghost',
  };
  const { scheme, header, payload } = await signed(
    auth,
    { admin_key: `01234567:${secret}` },
    Buffer.from(secret, 'hex'),
  );
  assert.deepEqual([scheme, header.kid, payload.aud], ['Ghost', '01234567', '/admin/']);
});

test('a key that cannot sign is rejected when it is registered, and not quoted', async () => {
  const auth = { credentials: { private_key: {} }, jwt: { key: '${raw.private_key}' } };
  await assert.rejects(signed(auth, { private_key: 'CANARY' }, Buffer.alloc(1)), {
    code: 'invalid_value',
    message: 'The key must be an RSA private key in PEM.',
  });
});

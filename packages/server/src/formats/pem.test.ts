import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { signJwt } from '../oauth/json-web-token.ts';
import { SIGNATURE_METHODS } from '../oauth/oauth1/signature-method.ts';
import { normalizePem } from './pem.ts';
import { secret } from '../../../../test/support/secrets.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const pkcs8 = rsa.export({ type: 'pkcs8', format: 'pem' }).toString();
const pkcs1 = rsa.export({ type: 'pkcs1', format: 'pem' }).toString();

const PASTED: Record<string, (pem: string) => string> = {
  'as it is': (pem) => pem,
  'with literal \\n': (pem) => pem.replaceAll('\n', String.raw`\n`),
  'with literal \\r\\n': (pem) => pem.replaceAll('\n', String.raw`\r\n`),
  'with lines joined by spaces': (pem) => pem.replaceAll('\n', ' '),
  'with its lines joined': (pem) => pem.replaceAll('\n', ''),
  indented: (pem) => pem.replaceAll(/^/gm, '    '),
  'with CRLF': (pem) => pem.replaceAll('\n', '\r\n'),
  'with empty lines': (pem) => pem.replaceAll('\n', '\n\n'),
  'between quotes': (pem) => `"${pem.replaceAll('\n', String.raw`\n`)}"`,
  'without a line break at the end': (pem) => pem.trim(),
};

for (const [how, paste] of Object.entries(PASTED))
  test(`reads a private key pasted ${how}`, () => {
    for (const pem of [pkcs8, pkcs1]) {
      assert.equal(normalizePem(paste(pem)), pem);
      const jwt = (key: string) => signJwt({ iss: 'a' }, { algorithm: 'RS256', key: secret(key) }).reveal();
      assert.equal(jwt(paste(pem)), jwt(pem));
      const sign = (key: string) =>
        SIGNATURE_METHODS['RSA-SHA1']('x', { clientSecret: secret(key), tokenSecret: secret('') });
      assert.equal(sign(paste(pem)), sign(pem));
    }
  });

test('normalizes several blocks, and returns text without PEM, or with PEM headers, unchanged', () => {
  const both = pkcs8 + pkcs1;
  assert.equal(normalizePem(both.replaceAll('\n', ' ')), both);
  const encrypted = '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nQUJD\n-----END RSA PRIVATE KEY-----\n';
  for (const other of ['', 'secret', String.raw`a\nb`, encrypted]) assert.equal(normalizePem(other), other);
});

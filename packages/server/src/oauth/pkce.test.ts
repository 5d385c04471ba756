import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeChallengeParams } from './pkce.ts';
import { revealed, secret } from '../../../../test/support/secrets.ts';

test('computes the S256 challenge of RFC 7636 Appendix B', () => {
  const verifier = secret('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk');
  assert.deepEqual(revealed(codeChallengeParams(verifier, 'S256')), {
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
});

test('sends the verifier itself with plain, and nothing with none', () => {
  assert.deepEqual(revealed(codeChallengeParams(secret('abc'), 'plain')), {
    code_challenge: 'abc',
    code_challenge_method: 'plain',
  });
  assert.deepEqual(codeChallengeParams(secret('abc'), 'none'), {});
});

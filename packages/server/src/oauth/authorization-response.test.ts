import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuthorizationResponse } from './authorization-response.ts';
import { responseParameters, secret } from '../../../../test/support/secrets.ts';

const expected = {
  issuer: undefined,
  issuerRequired: false,
  authorizationUrl: 'https://as.example/authorize',
  codeParameter: 'code',
};
const parse = (response: Record<string, string>, issuer?: string) =>
  parseAuthorizationResponse(responseParameters(Object.entries(response)), { ...expected, issuer });

test('returns the code', () => {
  assert.equal(parse({ code: 'c', state: 's', extra: 'x' }).code.reveal(), 'c');
});

test('F13: an error takes precedence over a code', () => {
  assert.throws(() => parse({ code: 'c', error: 'server_error', error_description: 'down' }), {
    code: 'provider_error',
    message: 'server_error: down',
  });
  assert.throws(() => parse({ error: 'access_denied' }), { code: 'access_denied' });
});

test('another code for a refusal is access_denied', () => {
  for (const error of ['user_cancelled_authorize', 'user_cancelled_login', 'user_refused', 'permission_denied'])
    assert.throws(() => parse({ error }), { code: 'access_denied', message: `Access was denied (${error}).` });
  assert.throws(() => parse({ error: 'nope' }), { code: 'provider_error' });
  const named = { ...expected, accessDeniedErrors: ['nope'] };
  assert.throws(() => parseAuthorizationResponse(responseParameters([['error', 'nope']]), named), {
    code: 'access_denied',
  });
});

test('F6: rejects an iss that is not the configured issuer (RFC 9207)', () => {
  assert.equal(parse({ code: 'c', iss: 'https://issuer.example' }, 'https://issuer.example').code.reveal(), 'c');
  for (const iss of ['https://issuer.example/', 'https://evil.example', ''])
    assert.throws(() => parse({ code: 'c', iss }, 'https://issuer.example'), {
      code: 'provider_error',
      error: 'issuer_mismatch',
    });
});

test('F6: without a configured issuer, rejects an iss of another origin than the authorization endpoint', () => {
  assert.equal(parse({ code: 'c', iss: 'https://as.example/tenant' }).code.reveal(), 'c');
  for (const iss of ['https://evil.example', 'nonsense', 'http://as.example'])
    assert.throws(() => parse({ code: 'c', iss }), { error: 'issuer_mismatch' });
});

test('no message quotes the code or another secret of the authorization', () => {
  const secrets = [secret('verifier-123456')];
  const refuse = (response: Record<string, string>) => () =>
    parseAuthorizationResponse(responseParameters(Object.entries(response)), { ...expected, secrets });
  const repeated = { code: 'code-123456', error: 'bad', error_description: 'code-123456 verifier-123456' };
  assert.throws(refuse(repeated), { message: 'bad: [secret] [secret]' });
  assert.throws(refuse({ code: 'code-123456', iss: 'https://evil.example/code-123456' }), {
    message: /"https:\/\/evil\.example\/\[secret\]"/,
  });
  assert.throws(refuse({ error: 'verifier-123456' }), { message: '[secret]', error: '[secret]' });
});

test('a response with neither code nor error is an error', () => {
  assert.throws(() => parse({ state: 's' }), { code: 'provider_error' });
});

test('F7: the provider’s text becomes one short line of plain text', () => {
  const description = `</script><img src=x onerror=alert(1)>\r\n\u2028${'x'.repeat(5000)}`;
  assert.throws(
    () => parse({ error: 'e', error_description: description }),
    (error: Error) => !/[<>\r\n\u2028]/.test(error.message) && error.message.length < 700,
  );
});

test('F6: rejects a response without the iss that the metadata promises', () => {
  const response = responseParameters([['code', 'c']]);
  assert.throws(() => parseAuthorizationResponse(response, { ...expected, issuerRequired: true }), {
    code: 'provider_error',
    error: 'issuer_missing',
  });
});

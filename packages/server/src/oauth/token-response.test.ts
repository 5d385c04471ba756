import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processTokenResponse } from './token-response.ts';
import { revealed, secret } from '../../../../test/support/secrets.ts';

interface Options {
  readonly status?: number;
  readonly contentType?: string;
  readonly tokenTypes?: string[];
  readonly secrets?: string[];
  readonly paths?: Record<string, string>;
  readonly expiresInUnit?: 'seconds' | 'milliseconds';
}

function process(body: string | object, options: Options = {}) {
  const {
    status = 200,
    contentType = 'application/json',
    tokenTypes = ['bearer'],
    secrets = [],
    paths = {},
    expiresInUnit = 'seconds',
  } = options;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return processTokenResponse(
    { status, contentType, body: secret(text) },
    { tokenTypes, paths, expiresInUnit },
    secrets.map(secret),
  );
}

test('T1: parses by shape, whatever the content type says', () => {
  assert.equal(
    process({ access_token: 'a', token_type: 'Bearer' }, { contentType: 'text/html' }).access_token.reveal(),
    'a',
  );
  const form = process('access_token=a%20b&refresh_token=r&expires_in=60&scope=x', { contentType: '' });
  assert.deepEqual(revealed([form.access_token, form.refresh_token, form.expires_in]), ['a b', 'r', 60]);
  assert.equal(process('access_token=a', { contentType: 'application/json' }).raw.reveal()['access_token'], 'a');
});

test('T2: an error with status 200 is an error, in the provider’s words', () => {
  assert.throws(() => process({ ok: false, error: 'invalid_code' }), {
    code: 'token_exchange_failed',
    error: 'invalid_code',
    message: /invalid_code/,
  });
  assert.throws(() => process({ error: { code: 'x1', message: 'Bad thing' } }), /x1: Bad thing/);
  assert.throws(() => process('error=bad_verification_code&error_description=The+code+expired.'), /The code expired/);
  assert.throws(() => process({ ok: false }), /no reason given/);
  assert.equal(process({ access_token: 'a', error: null, ok: true }).access_token.reveal(), 'a');
});

test('T3: expires_in as number, numeric string, absent, zero, negative, huge or nonsense', () => {
  const life = (expires_in: unknown) => process({ access_token: 'a', expires_in }).expires_in;
  assert.equal(life(3600), 3600);
  assert.equal(life('3600'), 3600);
  for (const unknown of [undefined, null, 0, -1, '', 'soon', {}, true])
    assert.equal(life(unknown), undefined, String(unknown));
  assert.equal(life(1e15), 10 * 365 * 86_400);
});

test('T5: an HTML error page becomes a short excerpt without markup and sent secrets', () => {
  const body = `<html><style>x{}</style><h1>Bad</h1><p>code=the-code-CANARY secret=s%25CANARY</p>${'z'.repeat(9999)}`;
  assert.throws(
    () => process(body, { status: 502, contentType: 'text/html', secrets: ['the-code-CANARY', 's%CANARY'] }),
    (error: Error) =>
      /status 502: Bad code=\[secret\] secret=\[secret\]/.test(error.message) &&
      !/CANARY|<h1>/.test(error.message) &&
      error.message.length < 400,
  );
});

test('T5: an unreadable success is never quoted, because it may hold tokens', () => {
  assert.throws(
    () => process('token CANARY', { contentType: 'text/plain' }),
    (error: Error) => !error.message.includes('CANARY'),
  );
  assert.throws(
    () => process('{"access_token":"CANARY"', {}),
    (error: Error) => !error.message.includes('CANARY'),
  );
});

test('T6: a missing access token names the fields, not their values', () => {
  assert.throws(
    () => process({ token: 'CANARY', user: 'x' }),
    (error: Error) =>
      /access_token is missing \(fields: token, user\)/.test(error.message) && !error.message.includes('CANARY'),
  );
});

test('T6: token types other than the accepted ones are rejected, whatever their case', () => {
  assert.equal(process({ access_token: 'a', token_type: 'bearer' }).access_token.reveal(), 'a');
  assert.equal(process({ access_token: 'a', token_type: 'BOT' }, { tokenTypes: ['bot'] }).access_token.reveal(), 'a');
  for (const token_type of ['mac', 'DPoP', 7])
    assert.throws(() => process({ access_token: 'a', token_type }), /token_type/);
});

test('T6: tokens with control characters or of another type are rejected', () => {
  for (const access_token of ['a\r\nX: y', 'a\0', 'ä', '\u007f', 7, {}])
    assert.throws(() => process({ access_token }), { code: 'token_exchange_failed' });
  assert.throws(() => process({ access_token: 'a', refresh_token: 'r\n' }), /refresh_token/);
});

test('prototype names in a response are plain data', () => {
  const { raw } = process('{"access_token":"a","__proto__":{"polluted":1},"constructor":"x"}');
  assert.equal(Reflect.get({}, 'polluted'), undefined);
  assert.equal(raw.reveal()['constructor'], 'x');
});

test('reads tokens and lifetimes at the configured paths', () => {
  const nested = { data: { token: { value: 'a' }, rt: 'r', life: 60_000 }, access_token: 'other' };
  const read = process(nested, {
    paths: { access_token: 'data.token.value', refresh_token: 'data.rt', expires_in: 'data.life' },
    expiresInUnit: 'milliseconds',
  });
  assert.deepEqual(revealed([read.access_token, read.refresh_token, read.expires_in]), ['a', 'r', 60]);
  assert.throws(() => process(nested, { paths: { access_token: 'data.constructor.name' } }), /access_token is missing/);
});

test('T2: a token beside an empty error is a token', () => {
  for (const error of [0, '0', '', null, false, [], {}])
    assert.equal(
      process({ access_token: 'a', error, refresh_token: false }).access_token.reveal(),
      'a',
      JSON.stringify(error),
    );
  for (const error of [1, '1', 'invalid_grant', true, [1], { code: 1 }])
    assert.throws(() => process({ access_token: 'a', error }), { code: 'token_exchange_failed' });
});

test('T6: a refresh token that is false counts as absent', () => {
  assert.equal(process({ access_token: 'a', refresh_token: false }).refresh_token, undefined);
});

test('T3: a time of expiry as ISO 8601 or epoch', () => {
  const at = (expires: unknown) =>
    process({ access_token: 'a', expires }, { paths: { expires_at: 'expires' } }).expires_at;
  const time = Date.parse('2030-01-02T03:04:05Z');
  for (const value of ['2030-01-02T03:04:05Z', time, time / 1000, String(time / 1000)])
    assert.equal(at(value), time, String(value));
  for (const value of [undefined, null, '', 'soon', -1, {}]) assert.equal(at(value), undefined);
});

test('no message quotes a token of the response', () => {
  const message = (body: string | object, options: Options = {}) => {
    try {
      process(body, options);
    } catch (error) {
      assert.ok(error instanceof Error);
      return error.message;
    }
    return assert.fail('it was accepted');
  };
  const error_description = 'at-1234567 rt-1234567 it-1234567 nested-1234567';
  const received = { access_token: 'at-1234567', refresh_token: 'rt-1234567', id_token: 'it-1234567' };
  const nested = { data: { token: 'nested-1234567' } };
  const paths = { access_token: 'data.token' };
  for (const status of [200, 400])
    assert.match(
      message({ ...received, ...nested, error: 'e', error_description }, { status, paths }),
      /: e: \[secret\] \[secret\] \[secret\] \[secret\]$/,
    );
  assert.match(message({ ...received, token_type: 'at-1234567' }), /token_type "\[secret\]" is not/);
  assert.match(message({ 'at-1234567': 1, refresh_token: 'at-1234567' }), /fields: \[secret\], refresh_token/);
});

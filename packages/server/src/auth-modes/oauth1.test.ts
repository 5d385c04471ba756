import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { integrationOf } from '../../../../test/support/integration.ts';
import { percentEncode } from '../oauth/oauth1/percent-encoding.ts';
import { oauth1 } from './oauth1.ts';
import { secret } from '../../../../test/support/secrets.ts';

/** Whether a request's signature covers these encoded parameters of its body, sorted with the others. */
function isSignedWith(parameters: string[], { body, type }: { body: string; type: string }): boolean {
  const integration = integrationOf(
    oauth1,
    {
      request_url: 'https://a.example/r',
      authorization_url: 'https://a.example/a',
      token_url: 'https://a.example/t',
      signature_method: 'HMAC-SHA1',
    },
    { oauthClientId: 'ck' },
  );
  const headers = { 'content-type': type };
  const { authorization = '' } =
    oauth1.sign?.(
      { method: 'POST', url: 'https://a.example/x', headers, body },
      {
        integration,
        credentials: { oauth_token: secret('t'), oauth_token_secret: secret(''), raw: secret({}) },
        config: {},
        context: { now: () => 1000, randomToken: () => 'n' },
      },
    ) ?? {};
  const all = [
    ...parameters,
    'oauth_consumer_key=ck',
    'oauth_nonce=n',
    'oauth_signature_method=HMAC-SHA1',
    'oauth_timestamp=1',
    'oauth_token=t',
    'oauth_version=1.0',
  ];
  const base = ['POST', 'https://a.example/x', all.toSorted().join('&')].map(percentEncode).join('&');
  const signature = createHmac('sha1', 'secret-1&').update(base).digest('base64');
  return authorization.includes(`oauth_signature="${percentEncode(signature)}"`);
}

const form = 'application/x-www-form-urlencoded';

test('a form body is signed with all its parameters (RFC 5849 §3.4.1.3.1)', () => {
  for (const type of [form, `${form}; charset=UTF-8`, `${form} ;x`, form.toUpperCase()])
    assert.ok(isSignedWith(['a=1', 'b=2'], { body: 'a=1&b=2', type }), type);
  assert.ok(isSignedWith([], { body: '', type: form }));
});

test('a form body that begins with a question mark has it in its first name', () => {
  assert.ok(isSignedWith(['%3Fa=1', 'b=2'], { body: '?a=1&b=2', type: form }));
});

test('a media type that only begins like a form’s is not a form', () => {
  for (const type of [`${form}-x`, `${form}+json`, 'text/plain', ''])
    assert.ok(isSignedWith([], { body: 'a=1', type }), type);
});

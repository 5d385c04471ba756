import assert from 'node:assert/strict';
import { test } from 'node:test';
import { excerpt } from './oauth-error.ts';
import { Secret } from '../vault/secret.ts';

test('quotes the text of a page, without its markup, scripts and control characters', () => {
  assert.equal(
    excerpt('<html><STYLE>a{}</style><script>x < y</script >\n<h1 class="a">Bad\u2028 gateway</h1>'),
    'Bad gateway',
  );
  assert.equal(excerpt('a <b'), 'a');
  assert.equal(excerpt('<script>never closed'), '');
  assert.equal(excerpt('x'.repeat(301)), `${'x'.repeat(300)}…`);
});

test('P13: a secret does not survive in an excerpt in any encoding', () => {
  const text = `pa/ss"wörd&<'%1~Z`;
  const bytes = Buffer.from(text);
  const forms = [
    text,
    encodeURIComponent(text),
    encodeURIComponent(text).toLowerCase(),
    encodeURIComponent(encodeURIComponent(text)),
    new URLSearchParams({ a: text }).toString(),
    JSON.stringify({ a: text }),
    JSON.stringify(text).replaceAll('/', String.raw`\/`),
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...['', 'u', 'us', 'user:'].flatMap((before) => [
      Buffer.from(`${before}${text}`).toString('base64'),
      Buffer.from(`${before}${text}`).toString('base64url'),
    ]),
  ];
  for (const form of forms) {
    const quoted = excerpt(`you sent ${form}.`, [new Secret(text)]);
    assert.match(quoted, /\[secret\]/, form);
    assert.doesNotMatch(
      quoted,
      /pa\/ss|pa%2fss|w%c3|w\\?ö?rd|70612f|cGEvc3|YS9zcyJ3|hL3NzIncD/i,
      `${form} → ${quoted}`,
    );
  }
});

test('P13: a secret at the cut is not quoted in part', () => {
  const text = 'secret-CANARY-0123456789';
  for (let before = 16_384 - text.length; before <= 16_384; before += 1) {
    // Markup is removed, so that the cut becomes part of the excerpt.
    const quoted = excerpt(`<${'a'.repeat(before - 2)}>${text}`, [new Secret(text)]);
    assert.doesNotMatch(quoted, /secret-C/, `${before}`);
  }
});

test('a short secret is masked as a word, and stays as a part of a word', () => {
  assert.equal(excerpt('permission_denied: denied', [new Secret('denied')]), 'permission_denied: [secret]');
});

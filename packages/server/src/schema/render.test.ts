import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderUrlTemplate, valueAt } from './render.ts';
import { splitTemplate, Template } from './template.ts';

function render(text: string, values: Record<string, string>): string {
  const parts = splitTemplate(text);
  assert.ok(typeof parts !== 'string');
  return renderUrlTemplate(new Template(parts), (name) => values[name] ?? '');
}

const invalidValue = { code: 'invalid_value' };

test('a value in the host must be a host name', () => {
  assert.equal(render('https://${x}.acme.com/v1', { x: 'shop-1' }), 'https://shop-1.acme.com/v1');
  assert.equal(render('https://${x}/v1', { x: 'shop.acme.com' }), 'https://shop.acme.com/v1');
  for (const x of [
    'evil.com/',
    'evil.com#',
    'evil.com?',
    'a@evil.com',
    'evil.com:80',
    'a\\b',
    'a b',
    '',
    '..',
    'a..b',
    '-a',
    'ａcme',
    'x\r\ny',
    '[::1]',
  ]) {
    assert.throws(() => render('https://${x}.acme.com/v1', { x }), invalidValue, JSON.stringify(x));
  }
});

test('a value in the path or query stays in its segment or parameter', () => {
  assert.equal(render('https://a.com/t/${x}/y', { x: 'a/b?c#d%2f' }), 'https://a.com/t/a%2Fb%3Fc%23d%252f/y');
  assert.equal(render('https://a.com/t?q=${x}', { x: 'a&b=c#d' }), 'https://a.com/t?q=a%26b%3Dc%23d');
  for (const x of ['.', '..', '', '\uD800'])
    assert.throws(() => render('https://a.com/t/${x}/y', { x }), invalidValue, JSON.stringify(x));
});

test('two values cannot form a dot segment together', () => {
  assert.throws(() => render('https://a.com/t/${x}${y}/z', { x: '.', y: '.' }), invalidValue);
  assert.throws(() => render('https://a.com/t/.${x}/z', { x: '.' }), invalidValue);
});

test('a value at the start is an origin with an optional path', () => {
  assert.equal(render('${x}/v1', { x: 'https://na1.acme.com' }), 'https://na1.acme.com/v1');
  assert.equal(render('${x}/v1', { x: 'https://na1.acme.com/base/' }), 'https://na1.acme.com/base/v1');
  for (const x of [
    'na1.acme.com',
    'javascript:alert(1)',
    'https://u:p@a.com',
    'https://a.com?x=1',
    'https://a.com#x',
    'file:///etc/passwd',
    'https://a.com\\b',
    'https://a.com\n',
  ]) {
    assert.throws(() => render('${x}/v1', { x }), invalidValue, x);
  }
});

test('reads only own members', () => {
  assert.equal(valueAt({ a: { b: 'x' } }, 'raw.a.b'), 'x');
  assert.equal(valueAt({ n: 0, f: false }, 'raw.n') + valueAt({ n: 0, f: false }, 'raw.f'), '0false');
  for (const path of ['raw.constructor.name', 'raw.__proto__.x', 'raw.a', 'raw.missing', 'raw.a.b.length']) {
    assert.throws(() => valueAt({ a: { b: 'x' } }, path), invalidValue, path);
  }
});

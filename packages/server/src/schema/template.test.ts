import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitTemplate } from './template.ts';
import { suggest } from './suggest.ts';

test('splits text and placeholders', () => {
  assert.deepEqual(splitTemplate('Bearer ${access_token}'), ['Bearer ', { placeholder: 'access_token' }]);
  assert.deepEqual(splitTemplate('${a}${b.c-d}e'), [{ placeholder: 'a' }, { placeholder: 'b.c-d' }, 'e']);
  assert.deepEqual(splitTemplate('plain $ {x}'), ['plain $ {x}']);
  assert.deepEqual(splitTemplate(''), ['']);
});

test('rejects placeholders that are not names', () => {
  for (const text of ['${', 'a ${b', '${}', '${a b}', '${${a}}', '${a..b}', '${1a}'])
    assert.equal(typeof splitTemplate(text), 'string', text);
});

test('suggests a similar name, and nothing if no name is similar', () => {
  assert.match(suggest('acces_token', ['access_token', 'api_key']), /"access_token"/);
  assert.equal(suggest('zzz', ['access_token', 'api_key']), '');
});

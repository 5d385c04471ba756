import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberText, parseExactJson, parseJson } from './parse-json.ts';

test('reads JSON, with or without a byte order mark', () => {
  assert.deepEqual(parseJson('\uFEFF{"a":[1]}'), { a: [1] });
  assert.equal(parseJson('{"a":'), undefined);
});

test('A4: JSON that is nested too deeply is rejected, and strings do not count', () => {
  assert.notEqual(parseJson('['.repeat(128) + ']'.repeat(128)), undefined);
  assert.equal(parseJson('['.repeat(129) + ']'.repeat(129)), undefined);
  assert.equal(parseJson('{"a":'.repeat(200_000)), undefined);
  assert.deepEqual(parseJson(JSON.stringify(['"[', String.raw`\"`, '['.repeat(1_000)])), [
    '"[',
    String.raw`\"`,
    '['.repeat(1_000),
  ]);
});

for (const number of [
  '17841405793187219',
  '-9007199254740993',
  '918756876419824312',
  '0.1234567890123456789',
  '1.0000000000000000',
  '1e400',
  '-1E-400',
  '123456789.123456789',
]) {
  test(`exact JSON reads and writes ${number} with all its digits`, () => {
    for (const text of [number, `[${number}]`, `{"a":${number}}`, `{"a": {"b":[1, ${number},2]}}`, `\n${number}\n`])
      assert.equal(JSON.stringify(parseExactJson(text)), text.replaceAll(/\s/g, ''), text);
    assert.equal(numberText(parseExactJson(number)), number);
  });
}

test('exact JSON has JavaScript numbers where these are exact, and leaves texts unchanged', () => {
  const value = {
    id: 9_007_199_254_740_991,
    price: 10.5,
    tenth: 0.1,
    date: '2026-01-01',
    text: ': 12345678901234567890',
  };
  assert.deepEqual(parseExactJson(JSON.stringify(value)), value);
  assert.equal(numberText(10.5), '10.5');
  for (const none of ['1', null, undefined, {}, [1], true]) assert.equal(numberText(none), undefined);
});

test('exact JSON has the limits of JSON', () => {
  assert.equal(parseExactJson('[12345678901234567'), undefined);
  assert.equal(parseExactJson(`${'['.repeat(129)}12345678901234567${']'.repeat(129)}`), undefined);
  assert.deepEqual(parseExactJson('\uFEFF{"a":1}'), { a: 1 });
});

test('D1: JSON with so many parts that it would block the process is rejected', () => {
  const list = (count: number, member: string) => `[${Array(count).fill(member).join(',')}]`;
  assert.notEqual(parseJson(list(499_999, '{}')), undefined);
  assert.equal(parseJson(list(500_000, '{}')), undefined);
  assert.notEqual(parseExactJson(list(200_000, '12345678901234567')), undefined);
  assert.equal(parseExactJson(list(200_001, '12345678901234567')), undefined);
});

test('exact JSON treats "__proto__" as an ordinary name, and ignores numbers within texts', () => {
  const text = '{"__proto__":{"id":12345678901234567},"text":"[12345678901234567]","bad":-1}';
  assert.equal(JSON.stringify(parseExactJson(text)), text);
  for (const none of ['[0123456789012345678]', '[1.]', '[1e]', '[--12345678901234567]', '[+1]'])
    assert.equal(parseExactJson(none), undefined, none);
});

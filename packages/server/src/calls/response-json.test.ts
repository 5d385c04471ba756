import assert from 'node:assert/strict';
import { test } from 'node:test';
import { responseJson } from './response-json.ts';

const TEXT = '{"items":[1],"next":null}';
const PARSED = { items: [1], next: null };

for (const type of [
  'application/json',
  'Application/JSON; charset=utf-8',
  'text/json',
  'application/problem+json',
  'application/vnd.api+json;v=1',
  'model/gltf+json',
  'application/x-amz-json-1.0',
  'application/x-amz-json-1.1',
  'text/javascript; charset=UTF-8',
  'application/javascript',
  'text/plain',
  '',
]) {
  test(`JSON is read from "${type}", with and without a byte order mark`, () => {
    assert.deepEqual(responseJson(type, TEXT), PARSED);
    assert.deepEqual(responseJson(type, `\uFEFF \n${TEXT}`), PARSED);
  });
}

for (const [type, text] of [
  ['text/html', TEXT],
  ['application/octet-stream', TEXT],
  ['application/jsonp', TEXT],
  ['application/json', '{"cut'],
  ['application/json', ''],
  ['text/plain', '42'],
  ['text/plain', 'null and void'],
  ['text/javascript', 'callback({"items":[]})'],
] as const) {
  test(`"${text}" as ${type} is not JSON`, () => assert.equal(responseJson(type, text), undefined));
}

test('JSON of any value is read if the media type says JSON', () => {
  for (const value of [null, 1, 'text', false])
    assert.equal(responseJson('application/json', JSON.stringify(value)), value);
});

test('JSON as deep as APIs nest it is read; JSON that would exhaust the stack is not', () => {
  const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  assert.ok(Array.isArray(responseJson('application/json', nested(1_000))));
  assert.equal(responseJson('application/json', nested(1_001)), undefined);
});

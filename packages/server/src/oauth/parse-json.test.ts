import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson } from './parse-json.ts';

test('reads JSON, with or without a byte order mark', () => {
  assert.deepEqual(parseJson('\uFEFF{"a":[1]}'), { a: [1] });
  assert.equal(parseJson('{"a":'), undefined);
});

test('A4: JSON that is nested too deeply is none, whatever its strings hold', () => {
  assert.notEqual(parseJson('['.repeat(128) + ']'.repeat(128)), undefined);
  assert.equal(parseJson('['.repeat(129) + ']'.repeat(129)), undefined);
  assert.equal(parseJson('{"a":'.repeat(200_000)), undefined);
  assert.deepEqual(parseJson(JSON.stringify(['"[', String.raw`\"`, '['.repeat(1_000)])), [
    '"[',
    String.raw`\"`,
    '['.repeat(1_000),
  ]);
});

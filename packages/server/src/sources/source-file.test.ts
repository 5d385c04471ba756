import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSourceFile } from './source-file.ts';

const read = (text: string) => {
  const { data, faults } = parseSourceFile('a.yaml', text);
  return { data, faults: faults.map(({ line, column, message }) => `${line}:${column} ${message}`) };
};

test('an alias refers to the last anchor of its name before it', () => {
  const { data, faults } = read('a: &x { p: &y 1 }\nb: &y 2\nc: *x\nd: *y\ne: &x 3\nf: *x\n&k g: *k\n');
  assert.deepEqual(data, { a: { p: 1 }, b: 2, c: { p: 1 }, d: 2, e: 3, f: 3, g: 'g' });
  assert.deepEqual(faults, []);
});

test('C2: an alias without an anchor before it is a fault, with its place', () => {
  assert.deepEqual(read('a: *x\nb: &x 1\n').faults, ['1:4 "*x" has no anchor "&x" before it']);
});

test('C2: an alias that refers to its own container has limited depth', () => {
  assert.match(read('a: &x [*x]\n').faults.join(), /is nested deeper than 32 levels/);
});

test('C2: a duplicate key is a fault at its second place, in every style of map and at any depth', () => {
  for (const [text, place] of [
    ['a: 1\nb: 2\na: 3\n', '3:1'],
    ['{ a: 1, b: 2, "a": 3 }', '1:15'],
    ['b:\n  c:\n    - a: 1\n      a: 2\n', '4:7'],
  ] as const)
    assert.deepEqual(read(text).faults, [`${place} "a" occurs twice`], text);
});

test('C2, D1: a megabyte of values beyond the limit is one fault', () => {
  const { faults } = read('- 1\n'.repeat(250_000));
  assert.equal(faults.length, 1);
  assert.match(faults[0] ?? '', /has more than 50000 values/);
});

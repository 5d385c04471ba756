import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTime } from './parse-time.ts';

const AT = Date.UTC(2030, 0, 2, 3, 4, 5);

test('T3: reads the times that providers and people write', () => {
  for (const value of [
    AT,
    AT / 1000,
    String(AT),
    String(AT / 1000),
    ` ${AT / 1000}.0 `,
    '2030-01-02T03:04:05Z',
    '2030-01-02T04:04:05+01:00',
    'Wed, 02 Jan 2030 03:04:05 GMT',
  ])
    assert.equal(parseTime(value), AT, String(value));
});

test('T3: a time without a zone is UTC', () => {
  for (const text of ['2030-01-02 03:04:05', '2030-01-02T03:04:05', '2030-01-02 03:04:05.000'])
    assert.equal(parseTime(text), AT, text);
});

test('T3, D4: a time after the year 9999 becomes the end of that year, so that it has an ISO 8601 form', () => {
  for (const value of [9e15, 1e16, 1e308, Number.POSITIVE_INFINITY, '9'.repeat(99), 8.64e15 + 1])
    assert.equal(new Date(parseTime(value) ?? Number.NaN).toISOString(), '9999-12-31T23:59:59.000Z');
});

test('T3: other values are undefined', () => {
  for (const value of ['', 'never', '-1', -1, Number.NaN, null, undefined, {}, [], true, '1'.repeat(101)])
    assert.equal(parseTime(value), undefined, String(value));
});

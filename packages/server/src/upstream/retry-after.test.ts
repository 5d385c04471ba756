import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetryAfter } from './retry-after.ts';

test('P11: reads Retry-After as seconds and as a date', () => {
  const now = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT');
  assert.equal(parseRetryAfter('120', now), 120_000);
  assert.equal(parseRetryAfter('0', now), 0);
  assert.equal(parseRetryAfter('Wed, 21 Oct 2026 07:28:05 GMT', now), 5_000);
  assert.equal(parseRetryAfter('Wed, 21 Oct 2026 07:27:00 GMT', now), 0);
  for (const nothing of [undefined, '', 'soon', '-1', '1.5']) assert.equal(parseRetryAfter(nothing, now), undefined);
});

test('D4: a wait is at most an hour', () => {
  const hour = 3_600_000;
  for (const value of [
    '3601',
    '1800000000',
    '9'.repeat(400),
    new Date(10 * hour).toUTCString(),
    'Fri, 31 Dec 9999 23:59:59 GMT',
  ])
    assert.equal(parseRetryAfter(value, 0), hour, value);
});

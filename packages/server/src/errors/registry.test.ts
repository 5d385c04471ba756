import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf, messageOf, NangoError } from './nango-error.ts';
import { ERRORS, hasTrait } from './registry.ts';

const entries = Object.entries(ERRORS);

test('each code has its own meaning, and is listed on the errors page', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/reference/errors.md'), 'utf8');
  for (const [code, { status, about }] of entries) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
    assert.match(about, /\.$/, code);
    assert.ok(page.includes(`| \`${code}\` | ${status} | ${about} |`), code);
  }
  assert.equal(new Set(entries.map(([, { about }]) => about)).size, entries.length);
});

test('only errors without a usable response belong to the family "network"', () => {
  const ofNetwork = entries.flatMap(([code]) => (hasTrait(code as keyof typeof ERRORS, 'network') ? [code] : []));
  assert.deepEqual(ofNetwork, ['request_failed', 'request_timeout', 'response_too_large']);
});

test('a failed file function becomes a code and a message that name the file', () => {
  try {
    readFileSync(join(import.meta.dirname, 'absent'));
    assert.fail('the file exists');
  } catch (error) {
    assert.equal(codeOf(error), 'file_not_found');
    assert.match(messageOf(error), /absent does not exist$/);
  }
  assert.equal(codeOf(new NangoError('cancelled', 'Nothing was done.')), 'cancelled');
  assert.equal(codeOf(new Error('other')), 'internal_error');
});

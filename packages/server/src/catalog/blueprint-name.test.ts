import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLUEPRINT_REFERENCE, VERSIONED_BLUEPRINT } from './blueprint-name.ts';

test('a reference to a Blueprint may have a version, and a versioned reference must have one', () => {
  for (const [text, isReference, isVersioned] of [
    ['acme', true, false],
    ['acme-crm_2:v10', true, true],
    ['acme:', false, false],
    ['acme:v', false, false],
    ['acme:1', false, false],
    ['acme:v0:v1', false, false],
    ['../acme:v0', false, false],
    [':v0', false, false],
    ['acme:v0\n', false, false],
  ] as const) {
    assert.equal(BLUEPRINT_REFERENCE.test(text), isReference, text);
    assert.equal(VERSIONED_BLUEPRINT.test(text), isVersioned, text);
  }
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const DIST = join(import.meta.dirname, '../../packages/frontend/dist');
const MAX_BYTES = 3_000;

for (const file of ['nango.js', 'index.js', 'index.cjs'])
  test(`the frontend SDK has at most 3 kB, compressed: ${file}`, () => {
    const { length } = gzipSync(readFileSync(join(DIST, file)));
    assert.ok(length <= MAX_BYTES, `${length} bytes`);
  });

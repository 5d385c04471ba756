import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AUTH_MODES, RESERVED_PLACEHOLDERS } from '../../packages/server/src/auth-modes/registry.ts';
import { Fields } from '../../packages/server/src/schema/fields.ts';

const read = (file: string) => readFileSync(join(import.meta.dirname, '../../docs', file), 'utf8');

/** The part of a page from one heading to the next one of the same depth. */
function section(page: string, heading: string): string {
  const start = page.indexOf(`\n${heading}`);
  assert.ok(start >= 0, heading);
  const depth = /^#+ /.exec(heading)?.[0] ?? '';
  const end = page.indexOf(`\n${depth}`, start + heading.length);
  return page.slice(start, end === -1 ? undefined : end);
}

for (const [name, mode] of AUTH_MODES) {
  test(`the reference documents every key of auth under ${name}`, () => {
    const page = section(read('reference/configuration.md'), '### auth');
    const sections = page.split('\n#### ').filter((text) => text.split('\n')[0]?.includes(name));
    const keys = Object.keys(mode.authShape(new Fields(() => undefined, RESERVED_PLACEHOLDERS)));
    // The page documents these keys once, for all modes.
    const shared = new Set(['verification']);
    const missing = keys.filter((key) => !sections.some((text) => text.includes(`\`${key}`)) && !shared.has(key));
    assert.deepEqual(missing, []);
  });

  test(`the guide lists every placeholder of ${name}`, () => {
    const placeholders = section(read('guides/auth.md'), '## Placeholders');
    for (const placeholder of Object.keys(mode.placeholders))
      assert.ok(placeholders.includes(`\${${placeholder}}`), placeholder);
  });
}

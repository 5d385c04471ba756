import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BlueprintCatalog } from './blueprint-catalog.ts';

test('rejects a file whose name differs from its Blueprint, to extend it and to show it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nango-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(
    join(folder, 'acme.yaml'),
    'name: other\ndisplay_name: Acme\ndocs_url: https://docs.acme.example\nmaintainer: me\nversions:\n  v0:\n    auth: { auth_mode: API_KEY }\n    requests: { base_url: https://api.acme.example }\n',
  );
  const catalog = new BlueprintCatalog([folder]);
  for (const read of [await catalog.find('acme'), await catalog.file('acme')]) {
    assert.ok('faults' in read);
    assert.deepEqual(
      read.faults?.map(({ path, message }) => [path, message]),
      [[['name'], 'must be "acme", the file’s name']],
    );
  }
});

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import { parse } from 'yaml';
import { CATALOG_FOLDER } from '../../packages/server/src/package-files.ts';

const root = join(import.meta.dirname, '../..');
const ajv = new Ajv({ allErrors: true, strict: false });
formats.default(ajv);

function schema(name: string): ValidateFunction {
  return ajv.compile(
    JSON.parse(readFileSync(join(root, 'packages/server/schemas', `${name}.schema.json`), 'utf8')) as object,
  );
}

const read = (path: string): unknown => parse(readFileSync(path, 'utf8'));
const quickstart = join(root, 'examples/quickstart/nango-integrations');

test('editors accept the shipped configuration', () => {
  const files: [ValidateFunction, string][] = [
    [schema('nango-config'), join(quickstart, 'nango-config.yaml')],
    [schema('integrations'), join(quickstart, 'integrations.yaml')],
    ...[CATALOG_FOLDER, join(quickstart, 'blueprints')].flatMap((folder) => {
      const blueprint = schema('blueprint');
      const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
      return files.map((name): [ValidateFunction, string] => [blueprint, join(folder, name)]);
    }),
  ];
  for (const [validate, file] of files) assert.ok(validate(read(file)), `${file} ${JSON.stringify(validate.errors)}`);
});

test('editors mark unknown keys, wrong types and invalid values', () => {
  const validate = schema('integrations');
  for (const wrong of [
    { integrations: { a: { oauth_client_idd: 'x' } } },
    { integrations: { a: { oauth_client_id: 1 } } },
    { integrations: { a: { auth: { auth_mode: 'OAUTH3' } } } },
    { integrations: { a: { auth: { tokn_url: 'https://x.com' } } } },
    { integrations: { 'a b': {} } },
    { integration: {} },
  ]) {
    assert.ok(!validate(wrong), JSON.stringify(wrong));
  }
  assert.ok(validate({ integrations: { a: { extends_blueprint: 'slack', auth: { token_url: null } } } }));
});

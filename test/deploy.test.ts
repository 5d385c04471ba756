import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { validate as validateDockerfile } from 'dockerfile-utils';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service } from 'kubernetes-models/v1';
import { parse, parseAllDocuments } from 'yaml';

const DEPLOY = join(import.meta.dirname, '../deploy');
const read = (file: string) => readFileSync(join(DEPLOY, file), 'utf8');
/** Variables that a container gets, and what documents them. */
const SETTINGS = readFileSync(join(DEPLOY, '../docs/guides/running.md'), 'utf8');

const MODELS: Record<string, new (manifest: never) => { validate(): void }> = {
  'apps/v1 Deployment': Deployment,
  'v1 Service': Service,
  'networking.k8s.io/v1 Ingress': Ingress,
  'policy/v1 PodDisruptionBudget': PodDisruptionBudget,
};

interface Compose {
  readonly services: Record<
    string,
    {
      readonly image?: string;
      readonly environment?: Record<string, string>;
      readonly depends_on?: Record<string, { readonly condition: string }>;
      readonly volumes?: readonly string[];
      readonly healthcheck?: object;
    }
  >;
  readonly volumes: Record<string, unknown>;
}

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

test('the compose file refers only to what is there, and names every variable it needs', () => {
  const text = read('compose.yaml');
  const { services, volumes } = parse(text) as Compose;
  for (const [name, service] of Object.entries(services)) {
    assert.ok(service.image, name);
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {}))
      assert.ok(condition !== 'service_healthy' || services[other]?.healthcheck, `${other} has a health check`);
    for (const [source = ''] of (service.volumes ?? []).map((volume) => volume.split(':')))
      assert.ok(source.startsWith('.') || Object.hasOwn(volumes, source), `${source} is a volume`);
  }
  for (const name of Object.keys(services['nango']?.environment ?? {}))
    assert.ok(SETTINGS.includes(`\`${name}\``), `${name} is documented`);
  // What has no default is named at the top, with how to make it.
  const [comment = ''] = text.split(/^name:/m);
  for (const [, name = ''] of text.matchAll(/\$\{(\w+):\?/g)) assert.match(comment, new RegExp(`${name} +openssl`));
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

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

const DEPLOY = join(import.meta.dirname, '../../deploy');
const read = (file: string) => readFileSync(join(DEPLOY, file), 'utf8');
/** The variables of a container, and the source that documents each. */
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

interface Deployed {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly { readonly env: readonly { readonly name: string; readonly value: string }[] }[];
      };
    };
    readonly rules: readonly { readonly host: string }[];
  };
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

test('the Dockerfile has no errors, runs as an unprivileged user, and sets only known variables', () => {
  const text = read('Dockerfile');
  assert.deepEqual(validateDockerfile(text), []);
  assert.match(text, /^USER 1000:1000$/m);
  for (const [name] of text.matchAll(/NANGO_\w+(?==)/g)) assert.ok(SETTINGS.includes(`\`${name}\``), name);
});

test('the image keeps its npm layer while only code changes', () => {
  const [install = ''] = read('Dockerfile').split('RUN npm ci');
  const root = join(DEPLOY, '..');
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { workspaces: string[] };
  for (const workspace of workspaces)
    assert.ok(install.includes(`COPY ${workspace}/package.json ${workspace}/`), `${workspace} is known to npm ci`);
  assert.doesNotMatch(install, /^COPY \. /m);
});

test('an image contains no key and no secret of the quickstart or of a project', () => {
  const ignored = readFileSync(join(DEPLOY, '../.dockerignore'), 'utf8').split('\n');
  for (const pattern of ['**/.nango', '**/.env']) assert.ok(ignored.includes(pattern), pattern);
});

test('the compose file works from the folder that its comment names', () => {
  const text = read('compose.yaml');
  assert.doesNotMatch(text, /NANGO_SOURCE|--project-directory/);
  assert.equal((parse(text) as Compose).services['nango']?.image, 'nango');
  assert.match(text, /docker build --file deploy\/Dockerfile --tag nango \./);
  assert.match(text, /Copy this file into the folder that holds nango-integrations\//);
});

test('Kubernetes: the image contains Actions and Blueprints, and the root URL is the Ingress host', () => {
  const text = read('kubernetes/nango.yaml');
  assert.doesNotMatch(text, /--from-file|configMap/);
  assert.match(text, /COPY nango-integrations \/nango\/nango-integrations/);
  assert.match(text, /oauth_server_root_url: \$\{NANGO_ROOT_URL\}/);
  const documents = parseAllDocuments(text).map((document) => document.toJS() as Manifest & Deployed);
  const deployment = documents.find(({ kind }) => kind === 'Deployment');
  const ingress = documents.find(({ kind }) => kind === 'Ingress');
  const [container] = deployment?.spec.template.spec.containers ?? [];
  const root = container?.env.find(({ name }) => name === 'NANGO_ROOT_URL')?.value;
  assert.equal(root, `https://${ingress?.spec.rules[0]?.host}`);
});

test('the compose file refers only to existing files, and names every variable it needs', () => {
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
  // The comment at the top names each variable without a default, and how to create its value.
  const [comment = ''] = text.split(/^name:/m);
  for (const [, name = ''] of text.matchAll(/\$\{(\w+):\?/g)) assert.match(comment, new RegExp(`${name} +openssl`));
});

for (const file of readdirSync(join(DEPLOY, 'kubernetes'))) {
  test(`kubernetes/${file}: every manifest fits its API, and the manifests belong together`, () => {
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

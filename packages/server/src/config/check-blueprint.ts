import { basename, dirname } from 'node:path';
import { RESERVED_PLACEHOLDERS } from '../auth-modes/registry.ts';
import { BlueprintCatalog } from '../catalog/blueprint-catalog.ts';
import { Fields } from '../schema/fields.ts';
import type { ConfigFault } from '../sources/config-fault.ts';
import { isMap } from '../sources/deep-merge.ts';
import { parseSourceFile } from '../sources/source-file.ts';
import { IntegrationSchemas } from './integrations-file.ts';
import { nangoConfigSchema } from './nango-config.ts';
import { resolveIntegration } from './resolve-integration.ts';

/** Returns every fault of a Blueprint's file. Each version is checked as an Integration would use it. */
export async function checkBlueprint(path: string, catalog: string): Promise<ConfigFault[]> {
  const name = basename(path, '.yaml');
  const folder = dirname(path);
  const blueprints = new BlueprintCatalog([...new Set([folder, catalog])]);
  const read = await blueprints.file(name);
  if (!('file' in read))
    return [...(read.faults ?? [{ file: path, line: 1, column: 1, path: [], message: read.message }])];
  const fields = new Fields(() => undefined, RESERVED_PLACEHOLDERS);
  const faults: ConfigFault[] = [];
  const context = {
    schemas: new IntegrationSchemas(fields),
    blueprints,
    server: nangoConfigSchema(fields).parse({}),
    faults,
  };
  for (const version of Object.keys(read.file.versions)) {
    const entry = {
      extends_blueprint: `${name}:${version}`,
      oauth_client_id: 'id',
      oauth_client_secret: 'secret',
      oauth_scopes: ['scope'],
      app_api_key: 'key',
      config: await applicationExamples(`${name}:${version}`, blueprints),
    };
    const source = parseSourceFile(path, JSON.stringify({ integrations: { [name]: entry } }));
    await resolveIntegration(name, entry, { ...context, source });
  }
  return faults;
}

/** Returns examples for the fields of `config` that an Integration has to set. */
async function applicationExamples(reference: string, blueprints: BlueprintCatalog): Promise<Record<string, unknown>> {
  const found = await blueprints.find(reference);
  const config = 'source' in found && isMap(found.config) ? found.config : {};
  const examples = Object.entries(config).flatMap(([name, field]) =>
    isMap(field) && field['set_by'] === 'application' ? [[name, { default: field['example'] ?? 'x' }] as const] : [],
  );
  return Object.fromEntries(examples);
}

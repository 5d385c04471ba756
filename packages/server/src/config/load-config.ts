import { join } from 'node:path';
import type { Integration } from '../auth-modes/auth-mode.ts';
import { RESERVED_PLACEHOLDERS } from '../auth-modes/registry.ts';
import { Fields, type Environment } from '../schema/fields.ts';
import { loadLogo } from './application-logo.ts';
import { BlueprintCatalog } from '../catalog/blueprint-catalog.ts';
import { readSourceFile } from '../sources/read-source-file.ts';
import type { EnvironmentFiles } from './environment-files.ts';
import { unrestrictedHostFields } from './chosen-hosts.ts';
import { ConfigError, displayPath, sortFaults, type ConfigFault, type KeyPath } from '../sources/config-fault.ts';
import { isMap } from '../sources/deep-merge.ts';
import { requestWarnings } from './request-warnings.ts';
import { IntegrationSchemas } from './integrations-file.ts';
import { nangoConfigSchema, type NangoConfig } from './nango-config.ts';
import { resolveIntegration, type ResolveContext } from './resolve-integration.ts';
import { parseSourceFile } from '../sources/source-file.ts';
import { validate, validateFile } from '../sources/validate.ts';

const NANGO_CONFIG_FILE = 'nango-config.yaml';
const INTEGRATIONS_FILE = 'integrations.yaml';
/** The name of the folder in the Nango folder that holds the user's own Blueprints. */
export const BLUEPRINTS_FOLDER = 'blueprints';

/** The validated configuration of a Nango folder. */
export interface Config {
  readonly server: NangoConfig;
  readonly integrations: ReadonlyMap<string, Integration>;
  /** `application.logo`, as a `data:` URL. */
  readonly applicationLogo: string | undefined;
  /** Warnings about settings that are permitted but unsafe, or probably mistakes. */
  readonly warnings: readonly string[];
}

/** The folders that are read, and the values of environment variables. */
export interface LoadConfigOptions {
  /** The Nango folder. */
  readonly folder: string;
  /** The folder that holds the catalog's Blueprints. */
  readonly catalog: string;
  readonly environment: Environment;
  /** Files that also supply environment variables. They are read again at each reload. */
  readonly environmentFiles?: EnvironmentFiles | undefined;
}

/** Reads the Nango folder. Throws {@link ConfigError} with every fault of every file that was read. */
export async function loadConfig({ folder, catalog, environment }: LoadConfigOptions): Promise<Config> {
  const fields = new Fields(environment, RESERVED_PLACEHOLDERS);
  const faults: ConfigFault[] = [];
  const server = await loadServerConfig(folder, fields, faults);
  const applicationLogo = await loadApplicationLogo(folder, server, faults);
  const blueprints = new BlueprintCatalog([join(folder, BLUEPRINTS_FOLDER), catalog]);
  const context = { schemas: new IntegrationSchemas(fields), blueprints, server, faults };
  const integrations = await loadIntegrations(folder, context);
  if (faults.length > 0) throw new ConfigError(sortFaults(faults));
  return {
    server,
    integrations: new Map(integrations.map((integration) => [integration.name, integration])),
    applicationLogo,
    warnings: [...serverWarnings(server), ...warningsOf(integrations)],
  };
}

/** The addresses of a server with this Nango folder. */
export interface ServerAddress {
  readonly port: number;
  /** The public root, with which the callback URL begins. */
  readonly rootUrl: string;
}

/**
 * Reads only the server's address, so the other settings of the Nango folder may be missing or invalid. Throws {@link
 * ConfigError} if the address has faults.
 */
export async function loadServerAddress(folder: string, environment: Environment): Promise<ServerAddress> {
  const schema = nangoConfigSchema(new Fields(environment, RESERVED_PLACEHOLDERS))
    .pick({ oauth_server_port: true, oauth_server_root_url: true })
    .loose();
  const path = join(folder, NANGO_CONFIG_FILE);
  const source = (await readSourceFile(path)) ?? parseSourceFile(displayPath(path), '');
  const faults: ConfigFault[] = [];
  // A fault elsewhere in the file does not matter here, so the file as a whole is not validated.
  const place = { path: [], locate: (key: KeyPath) => source.positionOf(key), faults };
  const read = validate(schema, source.data ?? {}, place);
  if (!read) throw new ConfigError(sortFaults([...source.faults, ...faults]));
  return { port: read.oauth_server_port, rootUrl: read.oauth_server_root_url.href.replace(/\/$/, '') };
}

async function loadServerConfig(folder: string, fields: Fields, faults: ConfigFault[]): Promise<NangoConfig> {
  const schema = nangoConfigSchema(fields);
  const source = await readSourceFile(join(folder, NANGO_CONFIG_FILE));
  return (source && validateFile(schema, source, faults)) ?? schema.parse({});
}

async function loadIntegrations(folder: string, context: Omit<ResolveContext, 'source'>): Promise<Integration[]> {
  const { schemas, faults } = context;
  const path = join(folder, INTEGRATIONS_FILE);
  const source = await readSourceFile(path);
  if (!source) {
    const message = 'does not exist. Create one with: nango init';
    faults.push({ file: displayPath(path), line: 1, column: 1, path: [], message });
    return [];
  }
  validateFile(schemas.file, source, faults);
  const entries =
    isMap(source.data) && isMap(source.data['integrations']) ? Object.entries(source.data['integrations']) : [];
  const resolved = await Promise.all(
    entries.map(async ([name, entry]) =>
      isMap(entry) ? resolveIntegration(name, entry, { ...context, source }) : undefined,
    ),
  );
  return resolved.filter((integration) => integration !== undefined);
}

async function loadApplicationLogo(
  folder: string,
  { application: { logo } }: NangoConfig,
  faults: ConfigFault[],
): Promise<string | undefined> {
  if (logo === undefined) return undefined;
  const loaded = await loadLogo(folder, logo);
  if ('url' in loaded) return loaded.url;
  const file = displayPath(join(folder, NANGO_CONFIG_FILE));
  faults.push({ file, line: 1, column: 1, path: ['application', 'logo'], message: loaded.problem });
  return undefined;
}

function serverWarnings({ allow_connect_without_session: allowsAnyone }: NangoConfig): string[] {
  return allowsAnyone
    ? ['allow_connect_without_session is true: anyone who reaches the port can connect accounts to any user id.']
    : [];
}

function warningsOf(integrations: readonly Integration[]): string[] {
  return integrations.flatMap((integration) => [
    ...(integration.allowHttp
      ? [`Integration "${integration.name}" has allow_http: its credentials may travel unencrypted.`]
      : []),
    ...requestWarnings(integration),
    ...unrestrictedHostFields(integration).map(
      (field) =>
        `Integration "${integration.name}" sends its secret to any host that a connection names in config.${field}. ` +
        'Give that field set_by: back_end, set_by: application and a default, or a pattern of the provider’s hosts.',
    ),
  ]);
}

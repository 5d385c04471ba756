import { z } from 'zod';
import type { Integration } from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { Template } from '../schema/template.ts';
import type { Blueprint, BlueprintCatalog } from './blueprint-catalog.ts';
import type { ConfigFault, KeyPath } from './config-fault.ts';
import { deepMerge, isMap, mergeHeaders } from './deep-merge.ts';
import type { IntegrationSchemas } from './integrations-file.ts';
import { isLoopbackHost, type NangoConfig } from './nango-config.ts';
import type { SourceFile } from './source-file.ts';
import { validate, type Locate } from './validate.ts';

/** What turning one entry of `integrations.yaml` into an Integration takes. */
export interface ResolveContext {
  readonly schemas: IntegrationSchemas;
  readonly source: SourceFile;
  readonly blueprints: BlueprintCatalog;
  readonly server: NangoConfig;
  readonly faults: ConfigFault[];
}

/** Merges one entry with its Blueprint and validates the whole. Faults are added to the context's. */
export async function resolveIntegration(
  name: string,
  entry: Record<string, unknown>,
  context: ResolveContext,
): Promise<Integration | undefined> {
  const { schemas, source, faults, server } = context;
  const path: KeyPath = ['integrations', name];
  const { auth: ownAuth, requests: ownRequests, ...ownSettings } = entry;
  const own = { path, locate: (place: KeyPath) => source.positionOf(place) };
  const settings = validate(schemas.settings, ownSettings, own, faults);
  if (!settings) return undefined;
  const blueprint = await findBlueprint(settings.extends_blueprint, path, context);
  if (blueprint === 'failed') return undefined;

  const merged = { path, locate: locateMerged(source, path, blueprint) };
  const auth = deepMerge(blueprint?.auth, ownAuth) ?? {};
  const requests = mergeRequests(blueprint?.requests, ownRequests) ?? {};
  const mode = AUTH_MODES.get(validate(schemas.authMode, { auth }, merged, faults)?.auth.auth_mode ?? '');
  const sections = mode && validate(schemas.sectionsOf(mode), { auth, requests }, merged, faults);
  if (!sections) return undefined;
  const integration = toIntegration({ name, blueprint, settings, sections, server });
  const problems = crossChecks(integration, settings);
  for (const { key, message } of problems) {
    const place = [...path, ...key];
    faults.push({ ...merged.locate(place), path: place, message });
  }
  return problems.length === 0 ? integration : undefined;
}

interface IntegrationParts {
  readonly name: string;
  readonly blueprint: Blueprint | undefined;
  readonly settings: Settings;
  readonly sections: z.output<ReturnType<IntegrationSchemas['sectionsOf']>>;
  readonly server: NangoConfig;
}

function toIntegration({ name, blueprint, settings, sections, server }: IntegrationParts): Integration {
  const { auth, requests } = sections;
  return {
    name,
    blueprint: blueprint && `${blueprint.name}:${blueprint.version}`,
    oauthClientId: settings.oauth_client_id,
    oauthClientSecret: settings.oauth_client_secret,
    oauthScopes: settings.oauth_scopes ?? scopesOf(auth),
    appApiKey: settings.app_api_key,
    logLevel: settings.log_level ?? server.default_action_log_level,
    httpRequestTimeoutSeconds: settings.http_request_timeout_seconds ?? server.default_http_request_timeout_seconds,
    allowHttp: settings.allow_http ?? false,
    auth,
    requests: {
      baseUrl: requests.base_url,
      headers: new Map(Object.entries(requests.headers)),
      params: new Map(Object.entries(requests.params)),
    },
  };
}

async function findBlueprint(
  reference: string | undefined,
  path: KeyPath,
  { blueprints, source, faults }: ResolveContext,
) {
  if (reference === undefined) return undefined;
  const found = await blueprints.find(reference);
  if ('source' in found) return found;
  faults.push(...(found.faults ?? []));
  const place = [...path, 'extends_blueprint'];
  if (found.message !== undefined) faults.push({ ...source.positionOf(place), path: place, message: found.message });
  return 'failed';
}

/** A merged key is where the Integration wrote it, else where the Blueprint did. */
function locateMerged(source: SourceFile, root: KeyPath, blueprint: Blueprint | undefined): Locate {
  return (path) => {
    const inner = [...(blueprint?.path ?? []), ...path.slice(root.length)];
    return blueprint && !source.has(path) && blueprint.source.has(inner)
      ? blueprint.source.positionOf(inner)
      : source.positionOf(path);
  };
}

function mergeRequests(base: unknown, override: unknown): unknown {
  const merged = deepMerge(base, override);
  if (!isMap(merged) || !isMap(base) || !isMap(override) || override['headers'] === null) return merged;
  return { ...merged, headers: mergeHeaders(base['headers'], override['headers']) };
}

/** Some modes have default scopes, some have no scopes at all. */
function scopesOf(auth: object): string[] {
  return 'default_scopes' in auth ? z.array(z.string()).catch([]).parse(auth.default_scopes) : [];
}

type Settings = z.output<IntegrationSchemas['settings']>;

/** Rules that span several keys. */
function crossChecks(integration: Integration, settings: Settings): { key: string[]; message: string }[] {
  const { auth } = integration;
  const ofMode = AUTH_MODES.get(auth.auth_mode)?.checkAuth?.(auth) ?? [];
  return [
    ...ofMode.map(({ key, message }) => ({ key: ['auth', key], message })),
    ...clientChecks(integration, settings),
    ...httpChecks(integration),
    ...appApiKeyCheck(integration),
  ];
}

function clientChecks({ auth }: Integration, settings: Settings): { key: string[]; message: string }[] {
  const mode = AUTH_MODES.get(auth.auth_mode);
  if (!mode?.usesOAuthClient) return [];
  const faults = [];
  if (settings.oauth_client_id === undefined)
    faults.push({ key: ['oauth_client_id'], message: `is required with auth_mode ${mode.name}` });
  if (settings.oauth_client_secret === undefined && !mode.isPublicClient?.(auth)) {
    faults.push({
      key: ['oauth_client_secret'],
      message: `is required with auth_mode ${mode.name} (a public client sets auth.authorization_method: none)`,
    });
  }
  if (settings.oauth_scopes === undefined && !('default_scopes' in auth && auth.default_scopes)) {
    faults.push({
      key: ['oauth_scopes'],
      message: `is required with auth_mode ${mode.name} (write [] if the API has no scopes)`,
    });
  }
  return faults;
}

/** Credentials must not travel in the clear (RFC 6749 §3.1.2.1, §3.2) unless somebody asked for it by name. */
function httpChecks({ auth, requests, allowHttp }: Integration): { key: string[]; message: string }[] {
  if (allowHttp) return [];
  const urls = [
    ...Object.entries(auth).map(([key, value]) => ({ key: ['auth', key], value })),
    { key: ['requests', 'base_url'], value: requests.baseUrl },
  ];
  return urls
    .filter(({ value }) => value instanceof Template && isInsecure(value))
    .map(({ key }) => ({
      key,
      message: 'must be https; http is for loopback hosts, or for an Integration with allow_http: true',
    }));
}

function isInsecure(template: Template): boolean {
  const [first] = template.parts;
  if (typeof first !== 'string' || !/^http:/i.test(first)) return false;
  const url = URL.parse(template.render(() => 'x'));
  return url !== null && !isLoopbackHost(url.hostname);
}

function appApiKeyCheck({ requests, appApiKey }: Integration): { key: string[]; message: string }[] {
  if (appApiKey) return [];
  const templates = [requests.baseUrl, ...requests.headers.values(), ...requests.params.values()];
  const used = templates.some((template) => template.placeholders.includes('app_api_key'));
  return used ? [{ key: ['app_api_key'], message: 'is required: requests uses ${app_api_key}' }] : [];
}

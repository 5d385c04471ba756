import type { z } from 'zod';
import {
  DEFAULT_REFRESH_CONCURRENCY,
  type BaseAuth,
  type ClientSetting,
  type Integration,
} from '../auth-modes/auth-mode.ts';
import { readClientCertificate } from '../auth-modes/client-certificate.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { inputProblems } from '../schema/input-fields.ts';
import { isSecureUrl } from '../schema/loopback-host.ts';
import type { Template } from '../schema/template.ts';
import { Secret } from '../vault/secret.ts';
import { requestBounds } from '../schema/request-settings.ts';
import type { Blueprint, BlueprintCatalog } from '../catalog/blueprint-catalog.ts';
import { choosesHosts, configuredOrigins, endpointsOf, unrestrictedHostFields } from './chosen-hosts.ts';
import type { ConfigFault, KeyPath } from '../sources/config-fault.ts';
import { mergeSections } from '../sources/merge-sections.ts';
import type { IntegrationSchemas } from './integrations-file.ts';
import type { NangoConfig } from './nango-config.ts';
import type { SourceFile } from '../sources/source-file.ts';
import { validate, type Locate } from '../sources/validate.ts';

const DEFAULT_REFUSED_DAYS = 3;

/** The schemas and files that are needed to turn an entry of `integrations.yaml` into an Integration. */
export interface ResolveContext {
  readonly schemas: IntegrationSchemas;
  readonly source: SourceFile;
  readonly blueprints: BlueprintCatalog;
  readonly server: NangoConfig;
  readonly faults: ConfigFault[];
}

/** Merges one entry with its Blueprint and validates the result. Adds faults to those of the context. */
export async function resolveIntegration(
  name: string,
  entry: Record<string, unknown>,
  context: ResolveContext,
): Promise<Integration | undefined> {
  const { schemas, source, blueprints, server, faults } = context;
  const path: KeyPath = ['integrations', name];
  const settings = validate(schemas.settings, entry, { path, locate: (key) => source.positionOf(key), faults });
  if (!settings) return undefined;
  const { extends_blueprint: reference } = settings;
  const referencePlace = { source, path: [...path, 'extends_blueprint'], faults };
  const blueprint = reference === undefined ? undefined : await blueprints.findReferenced(reference, referencePlace);
  if (reference !== undefined && !blueprint) return undefined;

  const merged = mergeSections(blueprint, entry);
  const locate = locateMerged(source, path, blueprint);
  const mode = AUTH_MODES.get(validate(schemas.authMode, merged, { path, locate, faults })?.auth.auth_mode ?? '');
  const sections = mode && validate(schemas.sectionsOf(mode), merged, { path, locate, faults });
  if (!sections) return undefined;
  const integration = toIntegration({ name, blueprint, settings, sections, server });
  const isOwn = blueprint?.isOwn ?? true;
  const problems = [...crossChecks(integration, settings), ...(isOwn ? hostChecks(integration) : [])];
  for (const { key, message } of problems) {
    const place = [...path, ...key];
    faults.push({ ...locate(place), path: place, message });
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
    oauthScopes: settings.oauth_scopes ?? defaultScopesOf(auth) ?? [],
    allowedScopes: settings.allowed_scopes ?? [],
    callbackUrl: settings.callback_url,
    appApiKey: settings.app_api_key,
    clientCertificate: certificateOf(settings),
    logLevel: settings.log_level ?? server.default_action_log_level,
    ...requestBounds(settings, server.default_http_request_timeout_seconds),
    allowHttp: settings.allow_http ?? false,
    shareSockets: settings.share_sockets ?? false,
    isGuarded: blueprint?.isOwn === true || choosesHosts(auth, sections.config, requests.base_url),
    configuredOrigins: configuredOrigins(auth, sections.config, requests.base_url),
    refreshConcurrency: settings.refresh_concurrency ?? DEFAULT_REFRESH_CONCURRENCY,
    reconnectAfterRefusedDays: settings.reconnect_after_refused_days ?? DEFAULT_REFUSED_DAYS,
    auth,
    configFields: sections.config,
    requests: {
      baseUrl: requests.base_url,
      headers: new Map(Object.entries(requests.headers)),
      params: new Map(Object.entries(requests.params)),
      rateLimit: requests.rate_limit,
      redirectOrigins: requests.redirect_origins,
      pagination: requests.pagination,
    },
  };
}

/** Finds a merged key: in the Integration if it has the key, else in the Blueprint. */
function locateMerged(source: SourceFile, root: KeyPath, blueprint: Blueprint | undefined): Locate {
  return (path) => {
    const inner = [...(blueprint?.path ?? []), ...path.slice(root.length)];
    return blueprint && !source.has(path) && blueprint.source.has(inner)
      ? blueprint.source.positionOf(inner)
      : source.positionOf(path);
  };
}

function defaultScopesOf(auth: BaseAuth): readonly string[] | undefined {
  return AUTH_MODES.get(auth.auth_mode)?.defaultScopes?.(auth);
}

type Settings = z.output<IntegrationSchemas['settings']>;

/** The fault of one key. */
interface Problem {
  readonly key: string[];
  readonly message: string;
}

/** Checks the rules that concern several keys. */
function crossChecks(integration: Integration, settings: Settings): Problem[] {
  const { auth } = integration;
  const modeFaults = AUTH_MODES.get(auth.auth_mode)?.checkAuth?.(auth) ?? [];
  return [
    ...modeFaults.map(({ key, message }) => ({ key: ['auth', key], message })),
    ...requiredSettingChecks(integration, settings),
    ...certificateChecks(settings),
    ...httpChecks(integration),
    ...placeholderChecks(integration),
    ...applicationChecks(integration),
  ];
}

/** Refuses fields with which a page alone would decide where a secret of the application is sent. */
function hostChecks(integration: Integration): Problem[] {
  return unrestrictedHostFields(integration).map((field) => ({
    key: ['config', field],
    message:
      'lets a page choose the host that receives your secret. Give it set_by: back_end, and pass the value in ' +
      'createConnectSession({ additionalConfig }); or set_by: application and a default; or a pattern of the ' +
      'provider’s hosts',
  }));
}

/** Checks that the values are present and valid that the application sets for all connections. */
function applicationChecks({ configFields }: Integration): Problem[] {
  const applicationFields = Object.entries(configFields).filter(([, { set_by }]) => set_by === 'application');
  return applicationFields.flatMap(([name, { default: value, ...field }]) =>
    inputProblems({ [name]: field }, value === undefined ? {} : { [name]: value }).map((problem) => ({
      key: ['config', name, 'default'],
      message: `${problem}: your application sets it here for all connections`,
    })),
  );
}

function certificateOf({ client_certificate, client_certificate_key }: Settings): Integration['clientCertificate'] {
  if (!client_certificate || !client_certificate_key) return undefined;
  const pasted = { certificate: client_certificate.reveal(), key: client_certificate_key.reveal() };
  return new Secret(readClientCertificate(pasted) ?? pasted);
}

function certificateChecks(settings: Settings): Problem[] {
  const { client_certificate: certificate, client_certificate_key: key } = settings;
  if (!certificate && !key) return [];
  if (!certificate || !key) {
    const missing = certificate ? 'client_certificate_key' : 'client_certificate';
    return [
      {
        key: [missing],
        message: `is required, because ${certificate ? 'client_certificate' : 'client_certificate_key'} is set`,
      },
    ];
  }
  if (readClientCertificate({ certificate: certificate.reveal(), key: key.reveal() })) return [];
  return [
    {
      key: ['client_certificate'],
      message: 'must be a PEM certificate, and client_certificate_key its PEM private key',
    },
  ];
}

const HINTS: Readonly<Record<ClientSetting, string>> = {
  oauth_client_id: '',
  oauth_client_secret: ' (a public client sets auth.authorization_method: none)',
  oauth_scopes: ' (write [] if the API has no scopes)',
  client_certificate: ', with client_certificate_key',
};

function requiredSettingChecks({ auth }: Integration, settings: Settings): Problem[] {
  const hasDefault = (setting: ClientSetting) => setting === 'oauth_scopes' && defaultScopesOf(auth) !== undefined;
  return (AUTH_MODES.get(auth.auth_mode)?.requiredSettings?.(auth) ?? [])
    .filter((setting) => settings[setting] === undefined && !hasDefault(setting))
    .map((setting) => ({ key: [setting], message: `is required with auth_mode ${auth.auth_mode}${HINTS[setting]}` }));
}

/** Credentials must not be sent unencrypted (RFC 6749 §3.1.2.1, §3.2) unless `allow_http` permits it. */
function httpChecks({ auth, requests, allowHttp }: Integration): Problem[] {
  if (allowHttp) return [];
  const urls = [
    ...endpointsOf(auth).map(({ key, url }) => ({ key: ['auth', ...key], url })),
    { key: ['requests', 'base_url'], url: requests.baseUrl },
  ];
  return urls
    .filter(({ url }) => isInsecure(url))
    .map(({ key }) => ({
      key,
      message: 'must be https; only loopback hosts, or an Integration with allow_http: true, may use http',
    }));
}

function isInsecure(template: Template): boolean {
  const [first] = template.parts;
  if (typeof first !== 'string' || !/^http:/i.test(first)) return false;
  const url = URL.parse(template.render(() => 'x'));
  return url !== null && !isSecureUrl(url, false);
}

/** Finds placeholders of `requests` for which no connection of this Integration has a value. */
function placeholderChecks({ auth, requests, appApiKey }: Integration): Problem[] {
  const templates = [requests.baseUrl, ...requests.headers.values(), ...requests.params.values()];
  const usedPlaceholders = new Set(templates.flatMap((template) => template.placeholders));
  const unavailable = Object.entries(AUTH_MODES.get(auth.auth_mode)?.unavailablePlaceholders?.(auth) ?? {});
  return [
    ...(usedPlaceholders.has('app_api_key') && !appApiKey
      ? [{ key: ['app_api_key'], message: 'is required: requests uses ${app_api_key}' }]
      : []),
    ...unavailable
      .filter(([name]) => usedPlaceholders.has(name))
      .map(([name, why]) => ({ key: ['requests'], message: `uses \${${name}}, but ${why}` })),
  ];
}

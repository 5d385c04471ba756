import type { ApplicationSecret, AuthEndpoint, BaseAuth, Integration } from '../auth-modes/auth-mode.ts';
import { placeholdersOf, secretsOfPlaceholders } from '../auth-modes/auth-values.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import {
  promptedFields,
  inputProblems,
  withDefaults,
  type InputField,
  type InputFields,
} from '../schema/input-fields.ts';
import { hostPlaceholders } from '../schema/render.ts';
import type { Template } from '../schema/template.ts';

/** Whether connections choose the host of a request, or a part of the host. */
export function choosesHosts(auth: BaseAuth, configFields: InputFields, baseUrl: Template): boolean {
  const isFixed = (field: string) => Object.hasOwn(applicationFields(configFields), field);
  const names = urlsOf(auth, baseUrl).flatMap((url) => hostPlaceholders(url).names);
  return names.some((name) => !isFixed(configField(name) ?? ''));
}

/** Returns the origins of URLs whose host is configured, or set by the application. */
export function configuredOrigins(auth: BaseAuth, configFields: InputFields, baseUrl: Template): ReadonlySet<string> {
  const set = Object.entries(withDefaults(applicationFields(configFields), {}));
  const values = new Map(set.map(([field, value]) => [`config.${field}`, String(value)]));
  return new Set(urlsOf(auth, baseUrl).flatMap((url) => originOf(url, values) ?? []));
}

function urlsOf(auth: BaseAuth, baseUrl: Template): Template[] {
  const requested = endpointsOf(auth).filter(({ isCallback }) => !isCallback);
  return [baseUrl, ...requested.map(({ url }) => url)];
}

function applicationFields(configFields: InputFields): InputFields {
  const prompted = promptedFields(configFields);
  return Object.fromEntries(Object.entries(configFields).filter(([name]) => !Object.hasOwn(prompted, name)));
}

/** Returns the origin of a URL; undefined if a connection chooses the host, or the result is not a URL. */
function originOf(template: Template, values: ReadonlyMap<string, string>): string | undefined {
  const isChosen = hostPlaceholders(template).names.some((name) => !values.has(name));
  return isChosen ? undefined : URL.parse(template.render((name) => values.get(name) ?? 'x'))?.origin;
}

/**
 * Returns the fields of `config` with which a connection alone decides where a secret of the application is sent. Pages
 * supply such values, so anyone who may connect could name their own server and read the secret there.
 */
export function unrestrictedHostFields(integration: Integration): string[] {
  const { auth, configFields, requests } = integration;
  const setByProvider = fieldsSetByProvider(integration);
  const toApi = { url: requests.baseUrl, receives: secretsSentToApi(integration), isFirst: false };
  const fields = [...endpointsOf(auth), toApi].flatMap(({ url, receives, isFirst }) => {
    if (!receives.some((secret) => hasSecret(integration, secret))) return [];
    const field = configField(hostPlaceholders(url).owner ?? '');
    return field === undefined || (setByProvider.has(field) && !isFirst) ? [] : [field];
  });
  return [...new Set(fields)].filter((field) => acceptsAnyHost(configFields[field]));
}

/** Returns the application's secrets that API requests carry, or are signed with. */
function secretsSentToApi({ auth, requests: { headers, params } }: Integration): ApplicationSecret[] {
  const secretsInTemplates = secretsOfPlaceholders(placeholdersOf([...headers.values(), ...params.values()]));
  // A request with an Authorization header of its own is not signed.
  const isSigned = ![...headers.keys()].some((name) => name.toLowerCase() === 'authorization');
  return isSigned
    ? [...secretsInTemplates, ...(AUTH_MODES.get(auth.auth_mode)?.signsWith?.(auth) ?? [])]
    : secretsInTemplates;
}

/** Returns the endpoints that the auth mode declares. */
export function endpointsOf(auth: BaseAuth): readonly AuthEndpoint[] {
  return AUTH_MODES.get(auth.auth_mode)?.endpoints(auth) ?? [];
}

function hasSecret({ oauthClientSecret, appApiKey }: Integration, secret: ApplicationSecret): boolean {
  return { oauth_client_secret: oauthClientSecret, app_api_key: appApiKey }[secret] !== undefined;
}

/** Fields of `config` that only the provider supplies. The user's browser could change those that it carries. */
function fieldsSetByProvider(integration: Integration): ReadonlySet<string> {
  const authorization = AUTH_MODES.get(integration.auth.auth_mode)?.authorization;
  const carriedByBrowser = new Set(authorization?.configFromBrowser(integration));
  return new Set(authorization?.suppliedConfig(integration).filter((name) => !carriedByBrowser.has(name)));
}

/** Returns `a` for `config.a` and `config.a.b`. */
function configField(placeholder: string): string | undefined {
  const [scope, field] = placeholder.split('.');
  return scope === 'config' ? field : undefined;
}

// The hosts that a pattern permits cannot be computed. So the pattern is tried with hosts that anyone could own.
const HOSTS_ANYONE_CAN_OWN = ['attacker.example', 'attacker.com', 'api.attacker.io'].flatMap((host) => [
  host,
  `https://${host}`,
]);

/** Whether a page may name a host that anyone could own. */
function acceptsAnyHost(field: InputField = {}): boolean {
  const admits = (host: string) => inputProblems({ host: field }, { host }).length === 0;
  return (field.set_by ?? 'connection') === 'connection' && HOSTS_ANYONE_CAN_OWN.some(admits);
}

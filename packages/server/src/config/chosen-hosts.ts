import type { BaseAuth, Integration } from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { isMap } from '../catalog/deep-merge.ts';
import { askedFields, inputProblems, withDefaults, type InputField, type InputFields } from '../schema/input-fields.ts';
import { hostPlaceholders } from '../schema/render.ts';
import { Template } from '../schema/template.ts';

/** Whether connections choose a host that is sent requests, or a part of one. */
export function choosesHosts(auth: BaseAuth, configFields: InputFields, baseUrl: Template): boolean {
  const isFixed = (field: string) => Object.hasOwn(applicationFields(configFields), field);
  const names = [baseUrl, ...urlsOf(auth)].flatMap((template) => hostPlaceholders(template).names);
  return names.some((name) => !isFixed(configField(name) ?? ''));
}

/** The origins of URLs whose host stands in the configuration, or is set by the application. */
export function configuredOrigins(auth: BaseAuth, configFields: InputFields, baseUrl: Template): ReadonlySet<string> {
  const set = Object.entries(withDefaults(applicationFields(configFields), {}));
  const values = new Map(set.map(([field, value]) => [`config.${field}`, String(value)]));
  return new Set([baseUrl, ...urlsOf(auth)].flatMap((template) => originOf(template, values) ?? []));
}

function applicationFields(configFields: InputFields): InputFields {
  const asked = askedFields(configFields);
  return Object.fromEntries(Object.entries(configFields).filter(([name]) => !Object.hasOwn(asked, name)));
}

/** undefined where a connection chooses the host, or no URL comes of it. */
function originOf(template: Template, values: ReadonlyMap<string, string>): string | undefined {
  const isChosen = hostPlaceholders(template).names.some((name) => !values.has(name));
  return isChosen ? undefined : URL.parse(template.render((name) => values.get(name) ?? 'x'))?.origin;
}

/**
 * The fields of `config` by which a connection alone decides who is sent a secret of the application's. Pages give such
 * values, so whoever may connect could name a server of his own and read the secret there.
 */
export function openHosts(integration: Integration): string[] {
  const { auth, configFields, requests, oauthClientSecret } = integration;
  const authenticatesClient =
    oauthClientSecret !== undefined && AUTH_MODES.get(auth.auth_mode)?.requiredSettings !== undefined;
  const values = [...requests.headers.values(), ...requests.params.values()];
  const sent = [
    ...(authenticatesClient || readsSecret(templatesOf(auth)) ? urlsOf(auth) : []),
    ...(readsSecret(values) ? [requests.baseUrl] : []),
  ];
  const told = toldByProvider(integration);
  const before = new Set(BEFORE_ANSWER.map((key): unknown => Reflect.get(auth, key)));
  const fields = sent.flatMap((template) => {
    // What the user's browser opens sees no secret.
    if ('authorization_url' in auth && template === auth.authorization_url) return [];
    const field = configField(hostPlaceholders(template).owner ?? '');
    return field === undefined || (told.has(field) && !before.has(template)) ? [] : [field];
  });
  return [...new Set(fields)].filter((field) => isOpen(configFields[field]));
}

/** URLs that are used before the provider has told anything. */
const BEFORE_ANSWER = ['token_url', 'request_url', 'device_authorization_url', 'issuer', 'resource'];

/** Fields of `config` in the provider's own words. What a callback brings is as the user's browser has it. */
function toldByProvider(integration: Integration): ReadonlySet<string> {
  const { auth } = integration;
  const brought = AUTH_MODES.get(auth.auth_mode)?.authorization?.bringsConfig(integration) ?? [];
  const viaBrowser = 'config_from_callback' in auth ? auth.config_from_callback : undefined;
  return new Set(brought.filter((name) => !isMap(viaBrowser) || !Object.hasOwn(viaBrowser, name)));
}

/** The URLs of `auth`, wherever they stand. */
function urlsOf(auth: BaseAuth): Template[] {
  return templatesOf(auth, (key) => /(^|_)(url|issuer|resource)$/.test(key));
}

/** Templates wherever they stand in a section, under keys of a kind. */
export function templatesOf(section: object, isWanted: (key: string) => boolean = () => true): Template[] {
  return Object.entries(section).flatMap(([key, value]: [string, unknown]) => {
    if (value instanceof Template) return isWanted(key) ? [value] : [];
    return typeof value === 'object' && value !== null ? templatesOf(value, isWanted) : [];
  });
}

function readsSecret(templates: readonly Template[]): boolean {
  const secrets = ['app_api_key', 'oauth_client_secret'];
  return templates.some(({ placeholders }) => secrets.some((secret) => placeholders.includes(secret)));
}

/** `a` of `config.a` and `config.a.b`. */
function configField(placeholder: string): string | undefined {
  const [scope, field] = placeholder.split('.');
  return scope === 'config' ? field : undefined;
}

// A pattern cannot be asked whose hosts it admits, so it is tried with some that anybody could have.
const ANYBODYS = ['attacker.example', 'attacker.com', 'api.attacker.io'].flatMap((host) => [host, `https://${host}`]);

/** Whether a connection may name a host of anybody's. */
function isOpen(field: InputField = {}): boolean {
  const admits = (host: string) => inputProblems({ host: field }, { host }).length === 0;
  return field.set_by !== 'application' && ANYBODYS.some(admits);
}

import type { BaseAuth, Integration } from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { isMap } from './deep-merge.ts';
import { askedFields, inputProblems, type InputField, type InputFields } from '../schema/input-fields.ts';
import { hostPlaceholders } from '../schema/render.ts';
import { Template } from '../schema/template.ts';

/** Whether connections choose a host that is sent requests, or a part of one. */
export function choosesHosts(auth: BaseAuth, configFields: InputFields, baseUrl: Template): boolean {
  const asked = askedFields(configFields);
  const isFixed = (field: string) => Object.hasOwn(configFields, field) && !Object.hasOwn(asked, field);
  const names = [baseUrl, ...urlsOf(auth)].flatMap((template) => hostPlaceholders(template).names);
  return names.some((name) => !isFixed(configField(name) ?? ''));
}

/**
 * The fields of `config` by which a connection alone decides who is sent a secret of the application's. Pages give such
 * values, so whoever may connect could name a server of his own and read the secret there.
 */
export function openHosts(integration: Integration): string[] {
  const { auth, configFields, requests, oauthClientSecret } = integration;
  const mode = AUTH_MODES.get(auth.auth_mode);
  // What a callback brings is as the user's browser has it.
  const viaBrowser =
    'config_from_callback' in auth && isMap(auth.config_from_callback) ? auth.config_from_callback : {};
  const told = (mode?.authorization?.bringsConfig(integration) ?? []).filter(
    (name) => !Object.hasOwn(viaBrowser, name),
  );
  const authenticatesClient = oauthClientSecret !== undefined && mode?.requiredSettings !== undefined;
  const values = [...requests.headers.values(), ...requests.params.values()];
  const templates = [
    ...(authenticatesClient || readsSecret(templatesOf(auth)) ? urlsOf(auth) : []),
    ...(readsSecret(values) ? [requests.baseUrl] : []),
  ];
  // What the user's browser opens sees no secret.
  const sent = templates.filter((template) => !('authorization_url' in auth && template === auth.authorization_url));
  const fields = sent.flatMap((template) => configField(hostPlaceholders(template).owner ?? '') ?? []);
  return [...new Set(fields)].filter((field) => !told.includes(field) && isOpen(configFields[field]));
}

/** The URLs of `auth`, wherever they stand. */
function urlsOf(auth: BaseAuth): Template[] {
  return templatesOf(auth, (key) => /(^|_)(url|issuer|resource)$/.test(key));
}

/** Templates wherever they stand in a section, under keys of a kind. */
function templatesOf(section: object, isWanted: (key: string) => boolean = () => true): Template[] {
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

/** Whether a connection may name a host of anybody's. */
function isOpen(field: InputField = {}): boolean {
  const admits = (host: string) => inputProblems({ host: field }, { host }).length === 0;
  return field.set_by !== 'application' && ['attacker.example', 'https://attacker.example'].some(admits);
}

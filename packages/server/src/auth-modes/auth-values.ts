import { headerValue, renderMaybeSecret, renderUrlTemplate, valueAt } from '../schema/render.ts';
import type { PlaceholderScope } from '../schema/fields.ts';
import { templatesIn, type Template } from '../schema/template.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { AdditionalConfig, ApplicationSecret, Integration, JsonObject } from './auth-mode.ts';
import { revealText, type MaybeSecret, type Secret } from '../vault/secret.ts';

/** Placeholders that templates of `auth` may use if they may read more than the connection's own settings. */
export const AUTH_VALUES: PlaceholderScope = {
  names: ['app_api_key', 'oauth_client_id', 'oauth_client_secret'],
  prefixes: ['raw.', 'config.'],
};

/** The application's secret that each placeholder holds. */
const SECRET_BY_PLACEHOLDER: ReadonlyMap<string, ApplicationSecret> = new Map([
  ['app_api_key', 'app_api_key'],
  ['oauth_client_secret', 'oauth_client_secret'],
  ['oauth_client_basic_encoded', 'oauth_client_secret'],
]);

/** Adds the placeholders in its templates to a section of `auth`. */
export function withPlaceholders<Section extends object>(section: Section) {
  return { ...section, placeholders: placeholdersOf(templatesIn(section)) };
}

/** Returns the placeholders of some templates. */
export function placeholdersOf(templates: Iterable<Template>): string[] {
  return [...new Set([...templates].flatMap(({ placeholders }) => placeholders))];
}

/** Returns the application's secrets that some placeholders hold. */
export function secretsOfPlaceholders(placeholders: readonly string[]): ApplicationSecret[] {
  return [...new Set(placeholders.flatMap((name) => SECRET_BY_PLACEHOLDER.get(name) ?? []))];
}

/** The values of these templates. */
export interface AuthValueSources {
  readonly integration: Integration;
  readonly config: AdditionalConfig;
  readonly raw: Secret<JsonObject>;
  /** Values of the mode's own placeholders. */
  readonly named?: Readonly<Record<string, MaybeSecret>>;
}

/** Where placeholders get their values: a provider's response, the connection's settings, and values by name. */
export interface PlaceholderSources extends Pick<AuthValueSources, 'config' | 'raw'> {
  readonly named: (placeholder: string) => MaybeSecret | undefined;
}

/** Returns the value of one placeholder; undefined if nothing has that name. */
export function placeholderValue(
  placeholder: string,
  { config, raw, named }: PlaceholderSources,
): MaybeSecret | undefined {
  if (placeholder.startsWith('raw.')) return raw.map((members) => valueAt(members, placeholder));
  if (placeholder.startsWith('config.')) return valueAt(config, placeholder);
  return named(placeholder);
}

/** Returns the value of one placeholder of `auth`. Throws `invalid_value` if this connection has none. */
function authValue(placeholder: string, { integration, config, raw, named = {} }: AuthValueSources): MaybeSecret {
  const values = new Map<string, MaybeSecret | undefined>([
    ...Object.entries(named),
    ['app_api_key', integration.appApiKey],
    ['oauth_client_id', integration.oauthClientId],
    ['oauth_client_secret', integration.oauthClientSecret],
  ]);
  const value = placeholderValue(placeholder, { config, raw, named: (name) => values.get(name) });
  if (value !== undefined) return value;
  throw new NangoError('invalid_value', `The Integration "${integration.name}" has no value for \${${placeholder}}.`);
}

/** Renders templates by name. */
export function renderAuthTemplates(
  templates: Readonly<Record<string, Template>>,
  sources: AuthValueSources,
): Record<string, MaybeSecret> {
  return Object.fromEntries(
    Object.entries(templates).map(([name, template]) => [name, renderAuthTemplate(template, sources)]),
  );
}

/** Renders headers. Names are in lower case; values are valid in a header. */
export function renderAuthHeaders(
  templates: Readonly<Record<string, Template>>,
  sources: AuthValueSources,
): Record<string, MaybeSecret> {
  const rendered = Object.entries(renderAuthTemplates(templates, sources));
  for (const [name, value] of rendered) headerValue(name, revealText(value));
  return Object.fromEntries(rendered.map(([name, value]) => [name.toLowerCase(), value]));
}

/** Renders a URL for the wire. No value can change the fixed parts of the template. */
export function renderAuthUrl(template: Template, sources: AuthValueSources): string {
  return renderUrlTemplate(template, (placeholder) => revealText(authValue(placeholder, sources)));
}

/** Renders one template. The result is a secret if one of its values is. */
export function renderAuthTemplate(template: Template, sources: AuthValueSources): MaybeSecret {
  return renderMaybeSecret(template, (placeholder) => authValue(placeholder, sources));
}

import { headerValue, renderUrlTemplate, valueAt } from '../schema/render.ts';
import type { PlaceholderScope } from '../schema/fields.ts';
import type { Template } from '../schema/template.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { AdditionalConfig, Integration, JsonObject } from './auth-mode.ts';

/** Names that templates of `auth` may use where they stand for more than the connection's own settings. */
export const AUTH_VALUES: PlaceholderScope = {
  names: ['app_api_key', 'oauth_client_id', 'oauth_client_secret'],
  prefixes: ['raw.', 'config.'],
};

/** Where the values of such templates come from. */
export interface AuthValueSources {
  readonly integration: Integration;
  readonly config: AdditionalConfig;
  readonly raw: JsonObject;
  /** Values by names of the mode's own. */
  readonly named?: Readonly<Record<string, string>>;
}

/** The value of one placeholder. Throws `invalid_value` where this connection has none. */
function authValue(placeholder: string, { integration, config, raw, named = {} }: AuthValueSources): string {
  if (placeholder.startsWith('raw.')) return valueAt(raw, placeholder);
  if (placeholder.startsWith('config.')) return valueAt(config, placeholder);
  const values = new Map([
    ...Object.entries(named),
    ['app_api_key', integration.appApiKey?.reveal()],
    ['oauth_client_id', integration.oauthClientId],
    ['oauth_client_secret', integration.oauthClientSecret?.reveal()],
  ]);
  const value = values.get(placeholder);
  if (value !== undefined) return value;
  throw new NangoError('invalid_value', `The Integration "${integration.name}" has no value for \${${placeholder}}.`);
}

/** Templates by name, each filled. */
export function fillTemplates(
  templates: Readonly<Record<string, Template>>,
  sources: AuthValueSources,
): Record<string, string> {
  return Object.fromEntries(Object.entries(templates).map(([name, template]) => [name, fill(template, sources)]));
}

/** Headers by name in lower case, each filled and fit to be one. */
export function fillHeaders(
  templates: Readonly<Record<string, Template>>,
  sources: AuthValueSources,
): Record<string, string> {
  const filled = Object.entries(fillTemplates(templates, sources));
  return Object.fromEntries(filled.map(([name, value]) => [name.toLowerCase(), headerValue(name, value)]));
}

/** A URL, filled so that no value can change what the template fixed. */
export function fillUrl(template: Template, sources: AuthValueSources): string {
  return renderUrlTemplate(template, (placeholder) => authValue(placeholder, sources));
}

/** One template, filled. */
export function fill(template: Template, sources: AuthValueSources): string {
  return template.render((placeholder) => authValue(placeholder, sources));
}

import type { Integration } from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { suggest } from '../schema/suggest.ts';
import { templatesIn } from '../schema/template.ts';

/** Returns warnings about settings of `auth` and `requests` that are permitted but probably mistakes. */
export function requestWarnings(integration: Integration): string[] {
  return [...unusedCredentials(integration), ...undeclaredConfig(integration)];
}

/** Keys and passwords that no request uses. */
function unusedCredentials({ name, auth, requests }: Integration): string[] {
  const mode = AUTH_MODES.get(auth.auth_mode);
  if (!mode || (mode.name !== 'API_KEY' && mode.name !== 'USERNAME_PASSWORD')) return [];
  const used = requestPlaceholders(requests);
  const names = Object.keys(mode.placeholders);
  if (used.some((placeholder) => names.includes(placeholder) || placeholder.startsWith('raw.'))) return [];
  const [example = ''] = names;
  return [
    `Integration "${name}" uses no credential of its connections: requests are sent unauthorized. ` +
      `Put a credential into requests.headers or requests.params, such as \${${example}}.`,
  ];
}

/** Fields that are used but not declared, although others are. */
function undeclaredConfig(integration: Integration): string[] {
  const { name, auth, configFields, requests } = integration;
  const declared = Object.keys(configFields);
  if (declared.length === 0) return [];
  const mode = AUTH_MODES.get(auth.auth_mode);
  const used = [...templatesIn(auth).flatMap(({ placeholders }) => placeholders), ...requestPlaceholders(requests)];
  const fields = used.flatMap((placeholder) =>
    placeholder.startsWith('config.') ? [placeholder.split('.')[1] ?? ''] : [],
  );
  const suppliedByProvider = mode?.authorization?.suppliedConfig(integration) ?? [];
  return [...new Set(fields)]
    .filter((field) => !declared.includes(field) && !suppliedByProvider.includes(field))
    .map(
      (field) =>
        `Integration "${name}" uses \${config.${field}}, which its config does not declare, ` +
        `so nobody is prompted for it.${suggest(field, declared)}`,
    );
}

function requestPlaceholders({ baseUrl, headers, params }: Integration['requests']): string[] {
  return [baseUrl, ...headers.values(), ...params.values()].flatMap(({ placeholders }) => placeholders);
}

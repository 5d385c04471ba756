import { isMap as isYamlMap, isScalar, LineCounter, parseDocument, type Pair } from 'yaml';
import { NangoError } from '../errors/nango-error.ts';
import type { Blueprint } from '../catalog/blueprint-catalog.ts';
import { isMap } from '../sources/deep-merge.ts';
import { integrationNameSchema } from './integration-name.ts';

/** A new entry of `integrations.yaml`: scalars, lists of scalars, and maps. */
export interface IntegrationEntry {
  readonly [key: string]: string | readonly string[] | IntegrationEntry;
}

/** Returns the entry of an Integration that uses a Blueprint unchanged, with secrets from the environment. */
export function suggestedEntry(
  { name, version, auth, config = {}, requests }: Pick<Blueprint, 'name' | 'version' | 'auth' | 'config' | 'requests'>,
  integration: string,
): IntegrationEntry {
  // The name of an environment variable cannot begin with a digit.
  const prefix = integration
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^(?=\d)/, '_');
  const isOAuth = /^OAUTH[12]$/.test(String(auth['auth_mode']));
  const applicationFields = Object.entries(config).flatMap(([fieldName, field]) =>
    isMap(field) && field['set_by'] === 'application'
      ? [[fieldName, { default: `\${${prefix}_${fieldName.toUpperCase()}}` }] as const]
      : [],
  );
  return {
    extends_blueprint: `${name}:${version}`,
    ...(isOAuth ? { oauth_client_id: `\${${prefix}_CLIENT_ID}` } : {}),
    ...(isOAuth && auth['authorization_method'] !== 'none'
      ? { oauth_client_secret: `\${${prefix}_CLIENT_SECRET}` }
      : {}),
    ...(isOAuth && auth['default_scopes'] === undefined ? { oauth_scopes: [] } : {}),
    ...(JSON.stringify(requests).includes('${app_api_key}') ? { app_api_key: `\${${prefix}_APP_API_KEY}` } : {}),
    ...(applicationFields.length > 0 ? { config: Object.fromEntries(applicationFields) } : {}),
  };
}

/**
 * Adds an entry to the text of `integrations.yaml`. Everything else stays unchanged, including comments and layout.
 * `file` is the path in messages. Throws `invalid_config` if the name is invalid or exists already, or the text is not
 * a valid `integrations.yaml`.
 */
export function addIntegration(
  text: string,
  { name, entry, file = 'integrations.yaml' }: { name: string; entry: IntegrationEntry; file?: string },
): string {
  const lines = new LineCounter();
  const parsedName = integrationNameSchema.safeParse(name);
  if (!parsedName.success)
    throw new NangoError('invalid_config', `"${name}" ${parsedName.error.issues[0]?.message ?? ''}.`);
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
  const [fault] = document.errors;
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0]);
    throw new NangoError('invalid_config', `${file}:${line}:${col} The file is not valid YAML: ${fault.message}`);
  }
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null))
    return `${withNewline(text)}integrations:\n${formatEntry(name, entry, 2)}`;
  const pair = isYamlMap(contents) ? contents.items.find((item) => keyOf(item) === 'integrations') : undefined;
  if (!isYamlMap(contents))
    throw new NangoError('invalid_config', `${file} must be a map with the key "integrations".`);
  if (!pair) return `${withNewline(text)}integrations:\n${formatEntry(name, entry, 2)}`;
  const { value } = pair;
  if (!isYamlMap(value) || value.items.length === 0) return insertIntoEmptyMap(text, pair, formatEntry(name, entry, 2));
  if (value.flow)
    throw new NangoError(
      'invalid_config',
      `${file} has "integrations" in braces. Put each integration on its own lines first.`,
    );
  if (value.items.some((item) => keyOf(item) === name))
    throw new NangoError(
      'invalid_config',
      `${file} already has an integration "${name}". Give the new one another name with --as.`,
    );
  const [first] = value.items;
  const firstOffset = startOf(first?.key);
  const indent = firstOffset - (text.lastIndexOf('\n', firstOffset - 1) + 1);
  const end = value.range?.[2] ?? text.length;
  const before = withNewline(text.slice(0, end));
  return before + formatEntry(name, entry, indent) + text.slice(end);
}

/** Inserts an entry after an empty `integrations:`, or in place of its `{}`. */
function insertIntoEmptyMap(text: string, pair: Pair, entry: string): string {
  const colon = text.indexOf(':', startOf(pair.key));
  const lineEnd = text.indexOf('\n', colon);
  const end = lineEnd === -1 ? text.length : lineEnd + 1;
  const rest = text.slice(colon + 1, end).replace(/^\s*(\{\s*\}|null|~)/, '');
  return withNewline(text.slice(0, colon + 1) + rest) + entry + text.slice(end);
}

function formatEntry(name: string, entry: IntegrationEntry, indent: number): string {
  const pad = ' '.repeat(indent);
  const lines = Object.entries(entry).map(([key, value]) => {
    if (typeof value === 'string') return `${pad}  ${key}: ${formatScalar(value)}\n`;
    if (isList(value)) return `${pad}  ${key}: [${value.map(formatScalar).join(', ')}]\n`;
    return formatEntry(key, value, indent + 2);
  });
  return `${pad}${name}:\n${lines.join('')}`;
}

function isList(value: readonly string[] | IntegrationEntry): value is readonly string[] {
  return Array.isArray(value);
}

/** Quotes a text unless YAML reads it unquoted as the same text. */
function formatScalar(value: string): string {
  const isPlain =
    /^[A-Za-z$][\w${}.:/-]*$/.test(value) && !value.endsWith(':') && !/^(true|false|null|yes|no|on|off)$/i.test(value);
  return isPlain ? value : `'${value.replaceAll("'", "''")}'`;
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function keyOf({ key }: Pair): unknown {
  return isScalar(key) ? key.value : undefined;
}

function startOf(node: unknown): number {
  return isScalar(node) ? (node.range?.[0] ?? 0) : 0;
}

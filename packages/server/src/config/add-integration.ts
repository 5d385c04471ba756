import { isMap as isYamlMap, isScalar, LineCounter, parseDocument, type Pair } from 'yaml';
import { NangoError } from '../errors/nango-error.ts';
import type { Blueprint } from '../catalog/blueprint-catalog.ts';
import { isMap } from '../catalog/deep-merge.ts';
import { integrationNameSchema } from './integration-name.ts';

/** A new entry of `integrations.yaml`: scalars, lists of scalars, and maps. */
export interface IntegrationEntry {
  readonly [key: string]: string | readonly string[] | IntegrationEntry;
}

/** The entry of an Integration that uses a Blueprint unchanged, with secrets from the environment. */
export function suggestedEntry(
  { name, version, auth, config = {}, requests }: Pick<Blueprint, 'name' | 'version' | 'auth' | 'config' | 'requests'>,
  integration: string,
): IntegrationEntry {
  // No variable begins with a digit.
  const prefix = integration
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^(?=\d)/, '_');
  const isOAuth = /^OAUTH[12]$/.test(String(auth['auth_mode']));
  const ofApplication = Object.entries(config).flatMap(([field, described]) =>
    isMap(described) && described['set_by'] === 'application'
      ? [[field, { default: `\${${prefix}_${field.toUpperCase()}}` }] as const]
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
    ...(ofApplication.length > 0 ? { config: Object.fromEntries(ofApplication) } : {}),
  };
}

/**
 * Adds an entry to the text of `integrations.yaml`. Everything else stays as it is, with comments and layout. Throws
 * `invalid_config` if the name is taken or invalid, or the text is not such a file.
 */
export function addIntegration(
  text: string,
  name: string,
  entry: IntegrationEntry,
  file = 'integrations.yaml',
): string {
  const lines = new LineCounter();
  const named = integrationNameSchema.safeParse(name);
  if (!named.success) throw new NangoError('invalid_config', `"${name}" ${named.error.issues[0]?.message ?? ''}.`);
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
  const [fault] = document.errors;
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0]);
    throw new NangoError('invalid_config', `${file}:${line}:${col} This is not YAML: ${fault.message}`);
  }
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null))
    return `${withNewline(text)}integrations:\n${entryText(name, entry, 2)}`;
  const pair = isYamlMap(contents) ? contents.items.find((item) => keyOf(item) === 'integrations') : undefined;
  if (!isYamlMap(contents))
    throw new NangoError('invalid_config', `${file} must be a map with the key "integrations".`);
  if (!pair) return `${withNewline(text)}integrations:\n${entryText(name, entry, 2)}`;
  const { value } = pair;
  if (!isYamlMap(value) || value.items.length === 0) return intoEmpty(text, pair, entryText(name, entry, 2));
  if (value.flow)
    throw new NangoError('invalid_config', `${file} has "integrations" in braces: put each on lines of its own first.`);
  if (value.items.some((item) => keyOf(item) === name))
    throw new NangoError('invalid_config', `${file} has an integration "${name}" already. Name the new one with --as.`);
  const [first] = value.items;
  const firstAt = startOf(first?.key);
  const indent = firstAt - (text.lastIndexOf('\n', firstAt - 1) + 1);
  const end = value.range?.[2] ?? text.length;
  const before = withNewline(text.slice(0, end));
  return before + entryText(name, entry, indent) + text.slice(end);
}

/** After an empty `integrations:`, or in place of its `{}`. */
function intoEmpty(text: string, pair: Pair, entry: string): string {
  const colon = text.indexOf(':', startOf(pair.key));
  const lineEnd = text.indexOf('\n', colon);
  const end = lineEnd === -1 ? text.length : lineEnd + 1;
  const rest = text.slice(colon + 1, end).replace(/^\s*(\{\s*\}|null|~)/, '');
  return withNewline(text.slice(0, colon + 1) + rest) + entry + text.slice(end);
}

function entryText(name: string, entry: IntegrationEntry, indent: number): string {
  const pad = ' '.repeat(indent);
  const lines = Object.entries(entry).map(([key, value]) => {
    if (typeof value === 'string') return `${pad}  ${key}: ${scalar(value)}\n`;
    if (isList(value)) return `${pad}  ${key}: [${value.map(scalar).join(', ')}]\n`;
    return entryText(key, value, indent + 2);
  });
  return `${pad}${name}:\n${lines.join('')}`;
}

function isList(value: readonly string[] | IntegrationEntry): value is readonly string[] {
  return Array.isArray(value);
}

/** Unquoted if that is the same text; otherwise in quotes. */
function scalar(value: string): string {
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

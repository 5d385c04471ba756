import { NangoError } from '../errors/nango-error.ts';
import type { Template } from './template.ts';
import { revealText, Secret, type MaybeSecret } from '../vault/secret.ts';

/** Returns the value of `${config.a.b}` or `${raw.a.b}` as text. Throws `invalid_value` if there is none. */
export function valueAt(root: unknown, placeholder: string): string {
  let value = root;
  for (const key of placeholder.split('.').slice(1)) {
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
  }
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  if (typeof value === 'number' || JSON.isRawJSON(value)) return JSON.stringify(value);
  throw new NangoError(
    'invalid_value',
    `This connection has no value for \${${placeholder}}. The value must be text, a number or a boolean.`,
  );
}

/**
 * Returns a header's value if it has only visible characters, spaces, tabs and obs-text (RFC 9110 §5.5). Other
 * characters could end the header early. Throws `invalid_value`.
 */
export function headerValue(name: string, value: string): string {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return value;
  throw new NangoError(
    'invalid_value',
    `The value of the header "${name}" contains characters that are not allowed in headers.`,
  );
}

/** Renders a template. The result is a secret if one of its values is. */
export function renderMaybeSecret(template: Template, valueOf: (placeholder: string) => MaybeSecret): MaybeSecret {
  let isSecret = false;
  const text = template.render((placeholder) => {
    const value = valueOf(placeholder);
    isSecret ||= value instanceof Secret;
    return revealText(value);
  });
  return isSecret ? new Secret(text) : text;
}

/** Renders templates that use only `config.*`, such as the parameters of `auth`. */
export function renderParams(params: Record<string, Template>, config: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([name, template]) => [
      name,
      template.render((placeholder) => valueAt(config, placeholder)),
    ]),
  );
}

/** Renders a URL that uses only `config.*`, such as the URLs of `auth`. */
export function renderUrl(template: Template | undefined, config: unknown): string {
  if (!template)
    throw new NangoError('unsupported_auth_mode', 'The Integration’s auth section has no URL for this step.');
  return renderUrlTemplate(template, (placeholder) => valueAt(config, placeholder));
}

/**
 * Renders a URL template so that no value can change its fixed parts. Within the host, only characters of host names
 * are accepted. After the host, values are percent-encoded, and dot segments are rejected. The value of a placeholder
 * at the beginning must be an http(s) URL without credentials, query and fragment.
 */
export function renderUrlTemplate(template: Template, valueOf: (placeholder: string) => string): string {
  let rendered = '';
  for (const [index, part] of template.parts.entries()) {
    if (typeof part === 'string') rendered += part;
    else
      rendered += encodeForUrl(
        part.placeholder,
        valueOf(part.placeholder),
        index === 0 ? 'origin' : nextZone(rendered),
      );
  }
  // Two harmless values can form a dot segment together.
  if (hasDotSegment(rendered))
    throw new NangoError(
      'invalid_value',
      'The connection’s values contain a "." or ".." segment, which would change the path of a configured URL.',
    );
  return rendered;
}

/** Whether a URL's path has a segment that URL parsers remove, in any spelling (WHATWG URL). */
export function hasDotSegment(url: string): boolean {
  const path = url.replace(/[?#].*$/s, '');
  return /(^|[/\\])(\.|%2e){1,2}([/\\]|$)/i.test(path);
}

/**
 * Returns the placeholders within a URL's host. `owner` is the placeholder that decides who owns the host, as in
 * `https://${config.x}/` or `https://api.${config.x}/`. It is undefined before a fixed domain, as in
 * `https://${config.x}.acme.com/`.
 */
export function hostPlaceholders({ parts }: Template): { names: string[]; owner: string | undefined } {
  const names: string[] = [];
  let owner: string | undefined;
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') {
      if (/^[^/?#:]*\.[^./?#:]+\.[^./?#:]+/.test(part)) owner = undefined;
      text += part;
      continue;
    }
    if (text === '') return { names: [part.placeholder], owner: part.placeholder };
    if (nextZone(text) !== 'host') break;
    names.push(part.placeholder);
    owner = part.placeholder;
    text += 'x';
  }
  return { names, owner };
}

function nextZone(rendered: string): 'host' | 'path' | 'query' {
  if (/^https?:\/\/[^/?#]*$/i.test(rendered)) return 'host';
  return rendered.includes('?') ? 'query' : 'path';
}

function encodeForUrl(placeholder: string, value: string, zone: 'origin' | 'host' | 'path' | 'query'): string {
  if (zone === 'origin') return parseOrigin(placeholder, value);
  if (zone === 'host') {
    if (/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(value) && !value.includes('..')) return value;
    throw invalidUrlValue(placeholder, 'a host name has only letters, digits, "-" and "."');
  }
  if (!value.isWellFormed() || value === '') throw invalidUrlValue(placeholder, 'it is empty or not valid Unicode');
  if (zone === 'path' && /^\.{1,2}$/.test(value))
    throw invalidUrlValue(placeholder, 'a dot segment would leave the path');
  return encodeURIComponent(value);
}

function parseOrigin(placeholder: string, value: string): string {
  const url = URL.parse(value);
  const isOrigin =
    url &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '';
  if (!isOrigin || /[\\\s\p{Cc}]/u.test(value))
    throw invalidUrlValue(placeholder, 'it must be an http or https URL without credentials, query or fragment');
  return withoutSlashesAtEnd(url.href);
}

function withoutSlashesAtEnd(text: string): string {
  let end = text.length;
  while (text.charAt(end - 1) === '/') end -= 1;
  return text.slice(0, end);
}

function invalidUrlValue(placeholder: string, why: string): NangoError {
  return new NangoError('invalid_value', `The value of \${${placeholder}} cannot be used in a URL: ${why}.`);
}

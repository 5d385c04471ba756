/** A piece of a template: literal text, or the name of a placeholder. */
export type TemplatePart = string | { readonly placeholder: string };

/**
 * A configured string with placeholders for credentials. Environment variables are already resolved.
 *
 * Text and placeholders are separate parts, so `${…}` in the text of an environment variable, or in an inserted value,
 * is never expanded.
 */
export class Template {
  readonly parts: readonly TemplatePart[];

  constructor(parts: readonly TemplatePart[]) {
    this.parts = parts;
  }

  /** The names of all placeholders, in order of appearance. */
  get placeholders(): string[] {
    return this.parts.flatMap((part) => (typeof part === 'string' ? [] : [part.placeholder]));
  }

  /** Renders each placeholder with `valueOf(name, index)`. */
  render(valueOf: (placeholder: string, index: number) => string): string {
    return this.parts
      .map((part, index) => (typeof part === 'string' ? part : valueOf(part.placeholder, index)))
      .join('');
  }
}

/** Returns every template in a value, at any depth. */
export function templatesIn(value: unknown): Template[] {
  if (value instanceof Template) return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(templatesIn) : [];
}

/** Splits `a${b}c` into its parts. Returns a message if a placeholder is malformed. */
export function splitTemplate(text: string): TemplatePart[] | string {
  const parts: TemplatePart[] = [];
  let rest = text;
  for (;;) {
    const start = rest.indexOf('${');
    if (start === -1) break;
    const end = rest.indexOf('}', start);
    if (end === -1) return 'has "${" without a closing "}"';
    const placeholder = rest.slice(start + 2, end);
    if (!/^[A-Za-z_][\w-]*(\.[\w-]+)*$/.test(placeholder)) return `has "\${${placeholder}}", which is not a name`;
    if (start > 0) parts.push(rest.slice(0, start));
    parts.push({ placeholder });
    rest = rest.slice(end + 1);
  }
  return rest === '' && parts.length > 0 ? parts : [...parts, rest];
}

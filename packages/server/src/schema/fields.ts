import { z } from 'zod';
import { Secret } from '../vault/secret.ts';
import { suggest } from './suggest.ts';
import { WrittenNumber, writtenNumber } from './written-number.ts';
import { splitTemplate, Template, type TemplatePart } from './template.ts';
import { FIELD_NAME, FRAMING_FIELDS } from '../formats/header-fields.ts';

/** Returns an environment variable. */
export type Environment = (name: string) => string | undefined;

/** Placeholders that a template may use. */
export interface PlaceholderScope {
  /** Exact names, such as `access_token`. */
  readonly names: readonly string[];
  /** Prefixes of open families, such as `raw.`. */
  readonly prefixes: readonly string[];
}

/** Placeholders of `auth` URLs and parameters: only the connection's settings. */
export const CONNECTION_SCOPE: PlaceholderScope = { names: [], prefixes: ['config.'] };
const NO_SCOPE: PlaceholderScope = { names: [], prefixes: [] };
const MAX_TEXT = 16_384;

/**
 * Parts of all configuration schemas. Each reads `${ENVIRONMENT_VARIABLES}` while it validates, so one pass finds every
 * fault of a file. Names in `reserved` get their values at request time. They are never read from the environment.
 */
export class Fields {
  readonly #environment: Environment;
  readonly #reserved: PlaceholderScope;
  /** Placeholders that every template may use, whatever its scope. */
  readonly #everywhere: PlaceholderScope;

  constructor(environment: Environment, reserved: PlaceholderScope, everywhere = NO_SCOPE) {
    this.#environment = environment;
    this.#reserved = reserved;
    this.#everywhere = everywhere;
  }

  /**
   * Returns the same parts, but every template may use every placeholder. For values whose auth mode is not known yet.
   */
  lenient(): Fields {
    return new Fields(this.#environment, this.#reserved, this.#reserved);
  }

  /** Text that is not empty. */
  text() {
    return this.#source().transform((text, ctx) => this.#expandToText(text, ctx));
  }

  /** Text that must not be printed. */
  secret() {
    return this.#source().transform((text, ctx) => new Secret(this.#expandToText(text, ctx)));
  }

  /** A template with the placeholders of `scope`. Numbers and booleans are read as text. */
  template(scope: PlaceholderScope) {
    return z
      .union([z.string().max(MAX_TEXT), z.number(), z.boolean(), writtenNumber])
      .transform((value, ctx) =>
        this.#expand(value instanceof WrittenNumber ? value.source : String(value), scope, ctx),
      );
  }

  /** An http(s) URL with the placeholders of `scope`. */
  url(scope: PlaceholderScope) {
    return this.#source()
      .meta({ pattern: '^(https?://|\\$\\{)' })
      .transform((text, ctx) => {
        const template = this.#expand(text, scope, ctx);
        const problem = urlProblem(template);
        if (problem) ctx.addIssue({ code: 'custom', message: problem });
        return template;
      });
  }

  /** Templates by name, such as query parameters. */
  params(scope: PlaceholderScope) {
    return z.record(z.string().min(1), this.template(scope));
  }

  /**
   * Templates by header name. Only the HTTP client sets headers that frame or route the message (RFC 9110 §7.6.1, RFC
   * 9112 §6).
   */
  headers(scope: PlaceholderScope) {
    const name = z
      .string()
      .regex(FIELD_NAME, 'is not a valid header name')
      .refine((text) => !FRAMING_FIELDS.has(text.toLowerCase()), 'is set by the HTTP client and cannot be configured');
    return z.record(name, this.template(scope));
  }

  /** A number, or an environment variable that holds one. */
  number(limits: { min: number; max: number; integer?: boolean }) {
    const number = limits.integer ? z.int() : z.number();
    return z
      .union([number.min(limits.min).max(limits.max), z.string().regex(/\$\{/, 'must be a number'), writtenNumber])
      .transform((value, ctx) => {
        if (value instanceof WrittenNumber) return value.value;
        return typeof value === 'number' ? value : Number(this.#expandToText(value, ctx) || Number.NaN);
      })
      .pipe(number.min(limits.min).max(limits.max));
  }

  /** true or false, or an environment variable that holds one. */
  boolean() {
    return z
      .union([z.boolean(), z.string().regex(/\$\{/, 'must be true or false')])
      .transform((value, ctx) => (typeof value === 'boolean' ? String(value) : this.#expandToText(value, ctx)))
      .pipe(z.enum(['true', 'false'], { error: 'must be true or false' }))
      .transform((value) => value === 'true');
  }

  /** One of some words, or an environment variable that holds one. */
  choice<const T extends readonly [string, ...string[]]>(words: T) {
    const error = ({ input }: { input?: unknown }) =>
      `must be one of ${words.join(', ')}.${typeof input === 'string' ? suggest(input, words) : ''}`;
    return z
      .union([z.enum(words), z.string().regex(/\$\{/, { error })], { error })
      .transform((value, ctx) => this.#expandToText(value, ctx))
      .pipe(z.enum(words, { error: `must be one of ${words.join(', ')}` }));
  }

  #source() {
    return z
      .string({ error: (issue) => (isNumber(issue.input) ? 'must be text: put it in quotes' : undefined) })
      .min(1, 'must not be empty')
      .max(MAX_TEXT);
  }

  #expandToText(text: string, ctx: z.core.$RefinementCtx): string {
    return this.#expand(text, NO_SCOPE, ctx).render(() => '');
  }

  #expand(text: string, scope: PlaceholderScope, ctx: z.core.$RefinementCtx): Template {
    const parts = splitTemplate(text);
    if (typeof parts !== 'string') return new Template(parts.map((part) => this.#expandPart(part, scope, ctx)));
    ctx.addIssue({ code: 'custom', message: parts });
    return new Template([]);
  }

  #expandPart(part: TemplatePart, scope: PlaceholderScope, ctx: z.core.$RefinementCtx): TemplatePart {
    if (typeof part === 'string' || inScope(part.placeholder, scope)) return part;
    if (scope !== NO_SCOPE && inScope(part.placeholder, this.#everywhere)) return part;
    const value = inScope(part.placeholder, this.#reserved) ? undefined : this.#environment(part.placeholder);
    if (value !== undefined && value !== '') return value;
    ctx.addIssue({ code: 'custom', message: this.#missing(part.placeholder, scope, value) });
    return '';
  }

  #missing(name: string, scope: PlaceholderScope, value: string | undefined): string {
    if (inScope(name, this.#reserved)) {
      const usable = [...scope.names, ...scope.prefixes.map((prefix) => `${prefix}*`)].join(', ');
      const hint = usable === '' ? 'Only environment variables are available' : `Available: ${usable}`;
      return `\${${name}} is not available here. ${hint}`;
    }
    if (value === '') return `environment variable ${name} is empty`;
    if (/^[A-Z0-9_]+$/.test(name))
      return (
        `environment variable ${name} is not set. ` +
        'Put it into .env beside the Nango folder, or into the environment'
      );
    const candidates = [...scope.names, ...scope.prefixes];
    return (
      `\${${name}} is neither a placeholder that is available here nor an environment variable that is set.` +
      suggest(name, candidates)
    );
  }
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' || value instanceof WrittenNumber;
}

function inScope(name: string, scope: PlaceholderScope): boolean {
  return (
    scope.names.includes(name) ||
    scope.prefixes.some((prefix) => name.startsWith(prefix) && name.length > prefix.length)
  );
}

/** Returns the fault of a URL template, if any. A placeholder may be the whole origin, or a part of host or path. */
function urlProblem(template: Template): string | undefined {
  if (template.parts.length === 0 || template.parts.includes('')) return undefined;
  const startsWithPlaceholder = typeof template.parts[0] !== 'string';
  const sample = template.render((_, index) => (index === 0 ? 'https://x.example' : 'x'));
  const url = URL.parse(sample);
  if (!url || !/^https?:$/.test(url.protocol)) return 'must be an http or https URL';
  const next = template.parts[1];
  if (startsWithPlaceholder && next !== undefined && !(typeof next === 'string' && next.startsWith('/'))) {
    return 'must have "/" directly after a placeholder for the origin';
  }
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or password';
  return undefined;
}

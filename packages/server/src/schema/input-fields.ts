import { z } from 'zod';
import type { Fields } from './fields.ts';

/** The name of an input field, or of a member of `config`. */
export const INPUT_FIELD_NAME = /^[A-Za-z_]\w{0,63}$/;
const MAX_VALUE = 100_000;

/** A field to prompt for: one of `config`, or one of `auth.credentials`. */
export interface InputField {
  readonly label?: string | undefined;
  readonly description?: string | undefined;
  readonly example?: string | undefined;
  /** A regular expression (`u` flag) that the whole value must match. */
  readonly pattern?: string | undefined;
  readonly default?: string | undefined;
  /** Who supplies it: each connection, or the application once, as `default` of its Integration. */
  readonly set_by?: 'connection' | 'application' | undefined;
  readonly optional?: boolean | undefined;
  /** Whether an empty value is accepted if it is sent on purpose. Forms still prompt for the field. */
  readonly acceptsEmpty?: boolean | undefined;
  /** Whether it may be shown during input. */
  readonly secret?: boolean | undefined;
}

export type InputFields = Readonly<Record<string, InputField>>;

const shape = {
  label: z.string().min(1).max(200).optional().describe('What a form calls it'),
  description: z.string().max(2_000).optional().describe('Where the user finds it'),
  example: z.string().max(1_000).optional().describe('A value that would do'),
  pattern: z
    .string()
    .min(1)
    .max(1_000)
    .refine(isPattern, 'is not a regular expression')
    .optional()
    .describe('Regular expression that the whole value must match'),
  optional: z.boolean().optional().describe('true: may be left out, or be empty'),
};

/** Fields of `config`: settings of each connection. */
export function configFieldsSchema(fields: Fields) {
  return fieldsSchema(
    z.strictObject({
      ...shape,
      default: fields.text().optional().describe('Used where a connection has none'),
      set_by: fields
        .choice(['connection', 'application'])
        .optional()
        .describe('application: the same for all connections, given as default in integrations.yaml'),
    }),
  );
}

/** Fields of `auth.credentials`: prompted credentials. Named groups of a pattern become separate values. */
export const credentialFieldsSchema = fieldsSchema(
  z.strictObject({ ...shape, secret: z.boolean().optional().describe('false: may be shown while it is typed') }),
);

function fieldsSchema<T extends z.ZodType>(field: T) {
  return z.record(z.string().regex(INPUT_FIELD_NAME, 'must be a name of letters, digits and "_"'), field);
}

/** Problems of given values, one sentence each. Never quotes a value. */
export function inputProblems(fields: InputFields, given: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields).flatMap(([name, field]) => {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    const what = `${name}${describe(field)}`;
    if (value === '' && field.acceptsEmpty) return [];
    if (value === undefined || value === null || value === '')
      return field.optional || field.default !== undefined ? [] : [`${what} is required`];
    const text = textOf(value);
    if (text === undefined || text.length > MAX_VALUE) return [`${what} must be text`];
    return field.pattern !== undefined && !matcher(field.pattern).test(text)
      ? [`${what} must match ${field.pattern}`]
      : [];
  });
}

/** Values of the patterns' named groups. */
export function namedGroups(
  fields: InputFields,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  const groups = Object.entries(fields).map(([name, { pattern }]) => {
    const text = Object.hasOwn(given, name) ? textOf(given[name]) : undefined;
    return pattern === undefined || text === undefined ? {} : { ...matcher(pattern).exec(text)?.groups };
  });
  return Object.assign({}, ...groups);
}

/** Fields that each connection supplies, and not the application for all of them. */
export function askedFields(fields: InputFields): InputFields {
  return Object.fromEntries(Object.entries(fields).filter(([, { set_by }]) => set_by !== 'application'));
}

/** Given values over the fields' defaults. No connection overrides what the application sets. */
export function withDefaults<T>(fields: InputFields, given: Readonly<Record<string, T>>): Record<string, T | string> {
  const values = Object.entries(fields).flatMap(([name, { default: value, set_by }]) =>
    value !== undefined && (set_by === 'application' || !Object.hasOwn(given, name)) ? [[name, value] as const] : [],
  );
  return { ...given, ...Object.fromEntries(values) };
}

function describe({ label, example }: InputField): string {
  const parts = [label, example === undefined ? undefined : `such as ${JSON.stringify(example)}`].filter(
    (part) => part !== undefined,
  );
  return parts.length > 0 ? ` (${parts.join(', ')})` : '';
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' || JSON.isRawJSON(value)) return JSON.stringify(value);
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}

function isPattern(pattern: string): boolean {
  try {
    return matcher(pattern) instanceof RegExp;
  } catch {
    return false;
  }
}

function matcher(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`, 'u');
}

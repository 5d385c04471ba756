import { z } from 'zod';
import type { Fields } from './fields.ts';

/** The name of an input field, or of a member of `config`. */
export const INPUT_FIELD_NAME = /^[A-Za-z_]\w{0,63}$/;
const MAX_VALUE = 100_000;

/** A field of `config` or of `auth.credentials` that a form prompts for. */
export interface InputField {
  readonly label?: string | undefined;
  readonly description?: string | undefined;
  readonly example?: string | undefined;
  /** A regular expression (`u` flag) that the whole value must match. */
  readonly pattern?: string | undefined;
  readonly default?: string | undefined;
  /**
   * Who supplies the value: each connection, the back end for each connection, or the application once, as `default` of
   * its Integration.
   */
  readonly set_by?: 'connection' | 'back_end' | 'application' | undefined;
  readonly optional?: boolean | undefined;
  /** Whether an empty value is accepted. Forms still prompt for the field. */
  readonly acceptsEmpty?: boolean | undefined;
  /** Whether the value must be hidden during input. Default: true for credentials, false for config. */
  readonly secret?: boolean | undefined;
}

/** Input fields by name. */
export type InputFields = Readonly<Record<string, InputField>>;

const shape = {
  label: z.string().min(1).max(200).optional().describe('Label of the field in a form'),
  description: z.string().max(2_000).optional().describe('Where the user finds the value'),
  example: z.string().max(1_000).optional().describe('A valid value'),
  pattern: z
    .string()
    .min(1)
    .max(1_000)
    .refine(isPattern, 'is not a regular expression')
    .optional()
    .describe('Regular expression that the whole value must match'),
  optional: z.boolean().optional().describe('true: the value may be absent or empty'),
};

/** Creates the schema of the fields of `config`, which are settings of each connection. */
export function configFieldsSchema(fields: Fields) {
  return fieldsSchema(
    z.strictObject({
      ...shape,
      default: fields.text().optional().describe('Used if a connection has no value'),
      set_by: fields
        .choice(['connection', 'back_end', 'application'])
        .optional()
        .describe(
          'application: the same for all connections, set as default in integrations.yaml. ' +
            'back_end: pages cannot set it, connect sessions and registerConnection can',
        ),
    }),
  );
}

/** The schema of `auth.credentials`: prompted credentials. Named groups of a pattern become separate values. */
export const credentialFieldsSchema = fieldsSchema(
  z.strictObject({ ...shape, secret: z.boolean().optional().describe('false: the value may be shown during input') }),
);

function fieldsSchema<T extends z.ZodType>(field: T) {
  return z.record(z.string().regex(INPUT_FIELD_NAME, 'must be a name of letters, digits and "_"'), field);
}

/** Returns the problems of values, one sentence each. Never quotes a value. */
export function inputProblems(fields: InputFields, values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields).flatMap(([name, field]) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
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

/** Returns the values of the patterns' named groups. */
export function namedGroups(
  fields: InputFields,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  const groups = Object.entries(fields).map(([name, { pattern }]) => {
    const text = Object.hasOwn(values, name) ? textOf(values[name]) : undefined;
    return pattern === undefined || text === undefined ? {} : { ...matcher(pattern).exec(text)?.groups };
  });
  return Object.assign({}, ...groups);
}

/** Returns the fields that each connection supplies, without those that the application sets for all. */
export function promptedFields(fields: InputFields): InputFields {
  return Object.fromEntries(Object.entries(fields).filter(([, { set_by }]) => set_by !== 'application'));
}

/** Returns the names of the fields that no page may supply. */
export function backEndFields(fields: InputFields): string[] {
  return Object.keys(fields).filter((name) => fields[name]?.set_by === 'back_end');
}

/** Merges values over the fields' defaults. Values that the application sets take precedence over a connection's. */
export function withDefaults<T>(fields: InputFields, values: Readonly<Record<string, T>>): Record<string, T | string> {
  const defaults = Object.entries(fields).flatMap(([name, { default: value, set_by }]) =>
    value !== undefined && (set_by === 'application' || !Object.hasOwn(values, name)) ? [[name, value] as const] : [],
  );
  return { ...values, ...Object.fromEntries(defaults) };
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

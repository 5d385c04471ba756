import type { InputField } from '@nangohq/node-client';
import { NangoError } from '../errors/nango-error.ts';
import { printable, type Terminal } from './terminal.ts';

/** Fields to prompt a person for, and the values that are already given. */
export interface FieldQuestions {
  readonly fields: Readonly<Record<string, InputField>>;
  readonly given: Readonly<Record<string, unknown>>;
  /** Whether input may be shown, if the field does not say. */
  readonly visible: boolean;
  /** Whether optional fields are prompted for, too. An empty input omits them. */
  readonly asksOptional: boolean;
}

/**
 * Prompts for missing fields, one by one. Without a person at the terminal they stay missing, and the server names
 * them.
 */
export async function askFields(
  { fields, given, visible, asksOptional }: FieldQuestions,
  terminal: Terminal,
): Promise<Record<string, unknown>> {
  const missing = Object.entries(fields).filter(
    ([name, { optional, default: fallback }]) =>
      given[name] === undefined && (asksOptional || !optional) && fallback === undefined,
  );
  if (missing.length === 0 || !terminal.interactive || !process.stdin.isTTY) return { ...given };
  const { text, password, isCancel } = await import('@clack/prompts');
  const values: Record<string, unknown> = { ...given };
  for (const [name, field] of missing) {
    const { label, description, example, secret = !visible } = field;
    const hint = field.optional ? '(may be empty)' : undefined;
    const message = printable([[label ?? name, hint], [description]].map(joinWords).filter(Boolean).join(' — '));
    const validate = (value: string | undefined) => inputProblem(value ?? '', field);
    const input = secret
      ? await password({ message, validate, output: process.stderr })
      : await text({
          message,
          validate,
          output: process.stderr,
          ...(example === undefined ? {} : { placeholder: printable(example) }),
        });
    if (isCancel(input)) throw new NangoError('cancelled', 'The prompt was cancelled. Nothing was connected.');
    if (input !== '') values[name] = input;
  }
  return values;
}

function joinWords(words: readonly (string | undefined)[]): string {
  return words.filter((word) => word !== undefined).join(' ');
}

function inputProblem(value: string, { pattern, optional }: InputField): string | undefined {
  if (value === '') return optional ? undefined : 'A value is required.';
  if (pattern === undefined || new RegExp(`^(?:${pattern})$`, 'u').test(value)) return undefined;
  return `The value must match ${pattern}.`;
}

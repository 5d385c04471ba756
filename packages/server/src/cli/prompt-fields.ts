import type { InputField } from '@nangohq/node-client';
import { NangoError } from '../errors/nango-error.ts';
import { printable, type Terminal } from './terminal.ts';

/** Fields to prompt for, and the values that flags already supply. */
export interface FieldPrompts {
  readonly fields: Readonly<Record<string, InputField>>;
  readonly values: Readonly<Record<string, unknown>>;
  /** Whether input is visible if the field has no `secret`. */
  readonly visible: boolean;
  /** Whether optional fields are prompted for, too. An empty input omits them. */
  readonly promptsOptional: boolean;
}

/** Prompts for missing fields, one by one. Without a terminal, they stay missing, and the server's error names them. */
export async function promptForFields(
  { fields, values, visible, promptsOptional }: FieldPrompts,
  terminal: Terminal,
): Promise<Record<string, unknown>> {
  const missing = Object.entries(fields).filter(
    ([name, { optional, default: fallback }]) =>
      values[name] === undefined && (promptsOptional || !optional) && fallback === undefined,
  );
  if (missing.length === 0 || !terminal.interactive || !process.stdin.isTTY) return { ...values };
  const { text, password, isCancel } = await import('@clack/prompts');
  const completed: Record<string, unknown> = { ...values };
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
    if (input !== '') completed[name] = input;
  }
  return completed;
}

function joinWords(words: readonly (string | undefined)[]): string {
  return words.filter((word) => word !== undefined).join(' ');
}

function inputProblem(value: string, { pattern, optional }: InputField): string | undefined {
  if (value === '') return optional ? undefined : 'A value is required.';
  if (pattern === undefined || new RegExp(`^(?:${pattern})$`, 'u').test(value)) return undefined;
  return `The value must match ${pattern}.`;
}

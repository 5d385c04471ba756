import type { InputField } from '@nangohq/node-client';
import { NangoError } from '../errors/nango-error.ts';
import { printable, type Terminal } from './terminal.ts';

/** Fields that a person is asked for, and what is known already. */
export interface FieldQuestions {
  readonly fields: Readonly<Record<string, InputField>>;
  readonly given: Readonly<Record<string, unknown>>;
  /** Whether answers may be shown while they are typed, where the field does not say. */
  readonly visible: boolean;
}

/** Asks for the fields that are missing, one by one; where nobody watches, they stay missing and the server names them. */
export async function askFields(
  { fields, given, visible }: FieldQuestions,
  terminal: Terminal,
): Promise<Record<string, unknown>> {
  const missing = Object.entries(fields).filter(
    ([name, { optional, default: fallback }]) => given[name] === undefined && !optional && fallback === undefined,
  );
  if (missing.length === 0 || !terminal.interactive || !process.stdin.isTTY) return { ...given };
  const { text, password, isCancel } = await import('@clack/prompts');
  const answers: Record<string, unknown> = { ...given };
  for (const [name, field] of missing) {
    const { label, description, example, pattern, secret = !visible } = field;
    const message = printable([label ?? name, description].filter(Boolean).join(' — '));
    const validate = (value: string | undefined) => problem(value ?? '', pattern);
    const answer = secret
      ? await password({ message, validate, output: process.stderr })
      : await text({
          message,
          validate,
          output: process.stderr,
          ...(example === undefined ? {} : { placeholder: printable(example) }),
        });
    if (isCancel(answer)) throw new NangoError('invalid_request', 'Nothing was connected.');
    answers[name] = answer;
  }
  return answers;
}

function problem(value: string, pattern: string | undefined): string | undefined {
  if (value === '') return 'This is required.';
  if (pattern === undefined || new RegExp(`^(?:${pattern})$`, 'u').test(value)) return undefined;
  return `This must match ${pattern}`;
}

import { z } from 'zod';
import { suggest } from './suggest.ts';

/** Messages for the issues that schemas leave to zod; the `error` option of a parse. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'unrecognized_keys') {
    const known = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : [];
    return issue.keys
      .map(
        (key) => `is not a known key.${suggest(key, known) || (known.length > 0 ? ` Known: ${known.join(', ')}` : '')}`,
      )
      .join('\n');
  }
  if (issue.input === undefined) return 'is required';
  if (issue.input === null) return 'must not be empty';
  if (issue.code === 'invalid_type') return `must be ${article(issue.expected)}, not ${article(typeName(issue.input))}`;
  return undefined;
}

/** All problems of a value on one line, each with its key. `root` names the value itself. */
export function problemsOf({ issues }: z.ZodError, root: string): string {
  return issues
    .map(
      ({ path, message }) => `${path.length > 0 ? path.map(String).join('.') : root} ${message.replaceAll('\n', ' ')}`,
    )
    .join('; ');
}

function typeName(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value;
}

function article(type: string): string {
  const words: Record<string, string> = {
    object: 'a map',
    record: 'a map',
    array: 'a list',
    string: 'text',
    int: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
  };
  return words[type] ?? type;
}

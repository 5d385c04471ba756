import { z } from 'zod';
import { suggest } from './suggest.ts';

/** Returns the message of an issue for which the schema has none. It is the `error` option of a parse. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'unrecognized_keys') {
    const knownKeys = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : [];
    const list = knownKeys.length > 0 ? ` Known keys: ${knownKeys.join(', ')}` : '';
    return issue.keys.map((key) => `is not a known key.${suggest(key, knownKeys) || list}`).join('\n');
  }
  if (issue.input === undefined) return 'is required';
  if (issue.input === null) return 'must not be empty';
  if (issue.code === 'invalid_type') return `must be ${article(issue.expected)}, not ${article(typeName(issue.input))}`;
  return undefined;
}

/** Returns all problems of a value on one line, each with its key. `root` names the value itself. */
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

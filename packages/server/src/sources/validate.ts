import type { z } from 'zod';
import { describeIssue } from '../schema/describe-issue.ts';
import type { ConfigFault, KeyPath, Position } from './config-fault.ts';
import type { SourceFile } from './source-file.ts';

/** Finds the place of a key in its file. */
export type Locate = (path: KeyPath) => Position;

/** The place of a value: the path of its root, and a function that finds places. */
interface ValuePlace {
  readonly path: KeyPath;
  readonly locate: Locate;
}

/** Validates a value. Adds faults with their places to `faults`, and returns undefined if there are any. */
export function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  { faults, ...place }: ValuePlace & { readonly faults: ConfigFault[] },
): z.output<T> | undefined {
  const result = schema.safeParse(value, { error: describeIssue, jitless: true });
  if (result.success) return result.data;
  for (const issue of result.error.issues) faults.push(...toFaults(issue, place));
  return undefined;
}

/**
 * Validates a whole file; an empty file counts as an empty map. Adds all of its faults to `faults`. Returns undefined
 * if its values are invalid; a key that occurs twice is a fault beside valid values.
 */
export function validateFile<T extends z.ZodType>(
  schema: T,
  source: SourceFile,
  faults: ConfigFault[],
): z.output<T> | undefined {
  faults.push(...source.faults);
  // A file that cannot be read has no data to check.
  if (source.data === undefined && source.faults.length > 0) return undefined;
  const locate = (path: KeyPath) => source.positionOf(path);
  return validate(schema, source.data ?? {}, { path: [], locate, faults });
}

function toFaults(issue: z.core.$ZodIssue, { path, locate }: ValuePlace): ConfigFault[] {
  const issuePath = [...path, ...issue.path.map((key) => (typeof key === 'number' ? key : String(key)))];
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n');
    return issue.keys.map((key, index) => ({
      ...locate([...issuePath, key]),
      path: [...issuePath, key],
      message: messages[index] ?? issue.message,
    }));
  }
  // A union without its own message uses the message of the closest branch.
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    const specific = issue.errors.flat().find((inner) => inner.code === 'custom' || inner.code === 'invalid_format');
    if (specific) return toFaults({ ...specific, path: [...issue.path, ...specific.path] }, { path, locate });
  }
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [{ ...locate(issuePath), path: issuePath, message }];
}

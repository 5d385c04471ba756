import { z } from 'zod';
import { Secret } from './secret.ts';

/** Returns the schema of a secret from outside: text of `min` to `max` characters. The default of `min` is 0. */
export function secretText(max: number, { min }: { min?: number } = {}) {
  const text = min === undefined ? z.string() : z.string().min(min);
  return text.max(max).transform((value) => new Secret(value));
}

import { z } from 'zod';

/** A name that can be a part of a path, a URL or a line of a log without any escaping. */
export const plainNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'is not a usable name (letters, digits, "-" and "_")');

import { z } from 'zod';

/** The schema of a name that needs no escaping in a path, a URL or a line of a log. */
export const plainNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/,
    'is not a valid name: use up to 100 letters, digits, "-" and "_", and begin with a letter or digit',
  );

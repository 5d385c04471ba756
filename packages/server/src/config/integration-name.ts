import { z } from 'zod';

/** The name of an Integration: a key of `integrations.yaml`, and a name in requests. */
export const integrationNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'is not a usable name (letters, digits, "-" and "_")')
  .describe('A name in integrations.yaml');

import { plainNameSchema } from '../schema/plain-name.ts';

/** The name of an Integration: a key of `integrations.yaml`, and a name in requests. */
export const integrationNameSchema = plainNameSchema.describe('A name in integrations.yaml');

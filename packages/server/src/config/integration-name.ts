import { plainNameSchema } from '../schema/plain-name.ts';

/** The schema of an Integration's name, which is a key of `integrations.yaml`. */
export const integrationNameSchema = plainNameSchema.describe('A name in integrations.yaml');

import { z } from 'zod';
import { accountSchema } from '../../connections/connection-input.ts';

/** The fields of a body that choose the account to connect. */
export const accountShape = {
  account: accountSchema.optional(),
  newAccount: z.boolean().optional().describe('true: a new account, which the server names'),
};

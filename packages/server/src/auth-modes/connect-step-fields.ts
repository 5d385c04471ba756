import { z } from 'zod';
import type { Fields } from '../schema/fields.ts';
import { describedRequestSchema } from './described-request.ts';

const MAX_STEPS = 5;

/** `auth.steps`: requests that follow the token answer, for what a provider tells in no other way. */
export function stepsSchema(fields: Fields) {
  return z
    .array(
      z
        .strictObject({
          request: describedRequestSchema(fields, ['access_token']).describe(
            'What is asked, by GET unless it says else',
          ),
          store: z
            .record(z.string().regex(/^[A-Za-z_]\w{0,63}$/), z.string().min(1).max(200))
            .default({})
            .describe('Members of the answer that are kept as config.*, by dotted path; numbers count in lists'),
          token: fields
            .boolean()
            .default(false)
            .describe('true: the answer is a token that takes the place of the one before; done again at each renewal'),
          optional: fields.boolean().default(false).describe('true: a connection is made without it, where it fails'),
        })
        .refine(({ store, token }) => token || Object.keys(store).length > 0, 'stores nothing'),
    )
    .max(MAX_STEPS)
    .default([])
    .describe('Requests that follow the token answer: a second token exchange, an id or name from another call');
}

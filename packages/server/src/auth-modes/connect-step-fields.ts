import { z } from 'zod';
import type { Fields } from '../schema/fields.ts';
import { INPUT_FIELD_NAME } from '../schema/input-fields.ts';
import { configuredRequestSchema } from './configured-request.ts';
import { stepIdentitySchema } from './identity.ts';

const MAX_STEPS = 5;

/**
 * `auth.steps` for modes whose token cannot be exchanged: requests after the token response, each with the values to
 * store.
 */
export function storeStepsSchema(fields: Fields, placeholders: readonly string[]) {
  const step = z.strictObject(stepShape(fields, placeholders)).transform((values) => ({ ...values, token: false }));
  return listOf(step.refine(hasResult, 'stores nothing'));
}

/** `auth.steps`: requests after the token response, for values that the provider gives in no other way. */
export function stepsSchema(fields: Fields, placeholders: readonly string[]) {
  const step = z.strictObject({
    ...stepShape(fields, placeholders),
    token: fields
      .boolean()
      .default(false)
      .describe('true: the response is a token that replaces the one before; repeated at each refresh'),
  });
  return listOf(step.refine((parsed) => parsed.token || hasResult(parsed), 'stores nothing'));
}

function hasResult({ store, identity }: { store: object; identity: object }): boolean {
  return Object.keys(store).length > 0 || Object.keys(identity).length > 0;
}

function stepShape(fields: Fields, placeholders: readonly string[]) {
  return {
    request: configuredRequestSchema(fields, placeholders).describe('What is asked'),
    store: z
      .record(z.string().regex(INPUT_FIELD_NAME), z.string().min(1).max(200))
      .default({})
      .describe('Members of the response that are stored as config.*, by dotted path; numbers count in lists'),
    identity: stepIdentitySchema(),
    optional: fields.boolean().default(false).describe('true: a connection is made without it, where it fails'),
  };
}

function listOf<Step extends z.ZodType>(step: Step) {
  return z
    .array(step)
    .max(MAX_STEPS)
    .default([])
    .describe('Requests after the token response: a second token exchange, an id or name from another request');
}

/** A parsed step. */
export type Step = z.output<ReturnType<typeof stepsSchema>>[number];

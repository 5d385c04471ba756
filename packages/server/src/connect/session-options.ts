import { z } from 'zod';
import { additionalConfigSchema, connectionIdSchema, storableTextSchema } from '../connections/connection-input.ts';
import { parseExactJson } from '../formats/parse-json.ts';

const MAX_NAME = 200;
const MAX_EMAIL = 320;
const MAX_INTEGRATIONS = 100;

/** The person who connects, as our pages show them. */
const endUserSchema = z
  .object({
    name: storableTextSchema.min(1).max(MAX_NAME).optional(),
    email: storableTextSchema.min(1).max(MAX_EMAIL).optional(),
  })
  .describe('The person who connects, as pages show them. Default: the user id');

/**
 * What a back end decides about a session beside its user, account and tags. No page can set any of it. The same schema
 * reads requests and stored sessions.
 */
export const sessionOptionsSchema = z.object({
  connectionId: connectionIdSchema.optional().describe('The only connection that may be connected again'),
  endUser: endUserSchema.optional(),
  additionalConfig: z
    .record(storableTextSchema.max(100), additionalConfigSchema)
    .refine((configs) => Object.keys(configs).length <= MAX_INTEGRATIONS, `must be at most ${MAX_INTEGRATIONS}`)
    .optional()
    .describe('Settings of the connection, by Integration. They take precedence over those of a page'),
});

/** An option of a session that a page cannot set. */
export type SessionOptions = z.output<typeof sessionOptionsSchema>;

/** What an attempt keeps of its session's options. */
export const attemptOptionsSchema = sessionOptionsSchema.omit({ additionalConfig: true });

/** The options of one attempt to connect. */
export type AttemptOptions = z.output<typeof attemptOptionsSchema>;

/** Returns options as they are stored; null = none. */
export function storedOptions(options: SessionOptions): string | null {
  const json = JSON.stringify(options);
  return json === '{}' ? null : json;
}

/** Parses the stored options of a session. */
export function parseSessionOptions(json: string | null): SessionOptions {
  return json === null ? {} : sessionOptionsSchema.parse(parseExactJson(json));
}

/** Parses the stored options of an attempt. */
export function parseAttemptOptions(json: string | null): AttemptOptions {
  return json === null ? {} : attemptOptionsSchema.parse(parseExactJson(json));
}

import { z } from 'zod';
import { MAX_SCOPE, MAX_SCOPES } from '../auth-modes/scopes.ts';
import { additionalConfigSchema, connectionIdSchema, storableTextSchema } from '../connections/connection-input.ts';
import { parseExactJson } from '../formats/parse-json.ts';

const MAX_NAME = 200;
const MAX_EMAIL = 320;
const MAX_INTEGRATIONS = 100;
const MAX_URL = 2_000;

const scopeListSchema = z.array(z.string().min(1).max(MAX_SCOPE)).max(MAX_SCOPES);

/** The URL of a page of the application. */
export const redirectUrlSchema = storableTextSchema
  .max(MAX_URL)
  .describe('Where the browser goes afterwards: one of allowed_redirect_urls');

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
  redirectUrl: redirectUrlSchema.optional(),
  confirm: z
    .boolean()
    .optional()
    .describe('true: the connection is stored when the back end confirms who is signed in. Needs redirectUrl'),
  endUser: endUserSchema.optional(),
  additionalConfig: z
    .record(storableTextSchema.max(100), additionalConfigSchema)
    .refine((configs) => Object.keys(configs).length <= MAX_INTEGRATIONS, `must be at most ${MAX_INTEGRATIONS}`)
    .optional()
    .describe('Settings of the connection, by Integration. They take precedence over those of a page'),
  scopes: z
    .record(storableTextSchema.max(100), scopeListSchema.min(1))
    .refine((lists) => Object.keys(lists).length <= MAX_INTEGRATIONS, `must be at most ${MAX_INTEGRATIONS}`)
    .optional()
    .describe('Scopes to ask for, by Integration: some of its oauth_scopes and allowed_scopes. Default: oauth_scopes'),
  allowAccountChange: z
    .boolean()
    .optional()
    .describe('Permits a connection to be replaced by one of another account at the provider. Default: false'),
});

/** An option of a session that a page cannot set. */
export type SessionOptions = z.output<typeof sessionOptionsSchema>;

/** What an attempt keeps of its session's options. */
export const attemptOptionsSchema = sessionOptionsSchema.omit({ additionalConfig: true, scopes: true }).extend({
  /** Whether the browser goes to redirectUrl after a failure, too. */
  returnsFailures: z.boolean().optional(),
  /** The scopes to ask for; absent = those of the Integration. */
  scopes: scopeListSchema.optional(),
  /** The scopes that the provider keeps without being asked. */
  keptScopes: scopeListSchema.optional(),
});

/** The options of one attempt to connect. */
export type AttemptOptions = z.output<typeof attemptOptionsSchema>;

/** Returns options as they are stored; null = none. */
export function storedOptions(options: SessionOptions | AttemptOptions): string | null {
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

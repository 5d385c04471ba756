import { z } from 'zod';
import { MAX_IDENTITY_TEXT } from '../auth-modes/identity.ts';
import { jsonValueSchema } from './json-value.ts';

const MAX_USER_ID = 512;
const MAX_CONFIG_BYTES = 65_536;

/** Text that every database can store and compare. PostgreSQL rejects NUL, and neither database has lone surrogates. */
export const storableTextSchema = z
  .string()
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'must be valid Unicode without NUL');

/** A user id: any text of the application, never parsed. */
export const userIdSchema = storableTextSchema
  .min(1, 'must not be empty')
  .max(MAX_USER_ID, `must have at most ${MAX_USER_ID} characters`)
  .describe('The application’s own id of the user');

const MAX_ACCOUNT = 100;

/** An account's name: any text of the application, never parsed. */
export const accountSchema = storableTextSchema
  .min(1, 'must not be empty')
  .max(MAX_ACCOUNT, `must have at most ${MAX_ACCOUNT} characters`)
  .describe('The application’s own name of one of the user’s accounts; default: default');

/** A connection's id, as this server made it. */
export const connectionIdSchema = z.uuid('must be a connection’s id').describe('The connection’s id');

/** The settings that `${config.x}` reads: a JSON object that the application may set and read. */
export const additionalConfigSchema = z
  .record(z.string().max(200), jsonValueSchema)
  .refine(
    (config) => JSON.stringify(config).length <= MAX_CONFIG_BYTES,
    `must be at most ${MAX_CONFIG_BYTES} bytes as JSON`,
  )
  .describe('Settings of this connection, for ${config.x}');

/** Fields to prompt for, as a form shows them. */
export const inputFieldsSchema = z.record(
  z.string(),
  z.object({
    label: z.string().optional(),
    description: z.string().optional(),
    example: z.string().optional(),
    pattern: z.string().optional().describe('Regular expression that the whole value must match'),
    default: z.string().optional(),
    optional: z.boolean().optional(),
    secret: z.boolean().optional().describe('Whether it must not be shown while it is typed'),
  }),
);

const identityText = storableTextSchema.max(MAX_IDENTITY_TEXT);

/** Who connected, as the provider names them. */
export const identitySchema = z
  .object({
    user: identityText.describe('The provider’s id of the user'),
    workspace: identityText.nullable().describe('The provider’s id of the workspace, team or company'),
    name: identityText.nullable().describe('For people: an e-mail address or a login'),
  })
  .nullable()
  .describe('Who connected, as the provider says; null if it is unknown');

const MAX_TAGS = 16;
const MAX_TAG_NAME = 64;
const MAX_TAG_VALUE = 256;

/** The name of a tag. It has no `=`, so that a filter can be written as `name=value`. */
export const tagNameSchema = storableTextSchema
  .min(1, 'must not be empty')
  .max(MAX_TAG_NAME, `must have at most ${MAX_TAG_NAME} characters`)
  .refine((name) => !name.includes('='), 'must not contain "="');

/** The value of a tag. */
export const tagValueSchema = storableTextSchema.max(MAX_TAG_VALUE, `must have at most ${MAX_TAG_VALUE} characters`);

/** The tags of a connection: texts by name, which the back end sets. */
export const tagsSchema = z
  .record(tagNameSchema, tagValueSchema)
  .refine((tags) => Object.keys(tags).length <= MAX_TAGS, `must be at most ${MAX_TAGS}`)
  .describe('Tags of the connection, such as organization or plan. Only a back end sets them');

export type Tags = z.output<typeof tagsSchema>;

/** Parses stored tags. */
export function parseTags(json: string): Tags {
  return tagsSchema.parse(JSON.parse(json));
}

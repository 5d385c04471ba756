import { z } from 'zod';
import { integrationNameSchema } from '../config/integration-name.ts';
import { jsonValue } from '../formats/parse-json.ts';
import { accountSchema, additionalConfigSchema, tagsSchema, userIdSchema } from '../connections/connection-input.ts';
import { DEFAULT_ACCOUNT } from '../store/store.ts';
import { publicConnectionSchema } from '../connections/public-connection.ts';
import { Secret } from '../vault/secret.ts';

/** The schema of the first line of an export, which says whether credentials are sealed. */
export const exportHeaderSchema = z.strictObject({
  /** 1: the format of earlier releases, without accounts. */
  nango_export: z.union([z.literal(1), z.literal(2)]),
  credentials: z.enum(['sealed', 'clear']),
  exported_at: z.iso.datetime(),
});

/** The first line of an export. */
export type ExportHeader = z.output<typeof exportHeaderSchema>;

/** The schema of a connection in an export. Times are ISO 8601. */
export const exportedConnectionSchema = z.strictObject({
  ...publicConnectionSchema.omit({ missingScopes: true, statusMessage: true }).shape,
  // Earlier releases did not store these.
  oauthClient: publicConnectionSchema.shape.oauthClient.default(null),
  identity: publicConnectionSchema.shape.identity.default(null),
  requestedScopes: publicConnectionSchema.shape.requestedScopes.default(null),
  grantedScopes: publicConnectionSchema.shape.grantedScopes.default(null),
  /** The same as `uuid`. */
  id: z.uuid().optional(),
  uuid: z.uuid(),
  account: accountSchema.default(DEFAULT_ACCOUNT),
  tags: tagsSchema.default({}),
  integration: integrationNameSchema,
  userId: userIdSchema,
  credentials: z.union([z.base64(), z.record(z.string(), jsonValue)]).describe('Sealed, or in the clear'),
});

/** A connection in an export. */
export type ExportedConnection = z.input<typeof exportedConnectionSchema>;

/** The schema of a connection of another system. It has the parameters of `registerConnection`. */
export const foreignConnectionSchema = z.strictObject({
  integration: integrationNameSchema,
  userId: userIdSchema,
  account: accountSchema.default(DEFAULT_ACCOUNT),
  credentials: z.record(z.string(), jsonValue).transform((given) => new Secret(given)),
  additionalConfig: additionalConfigSchema.default({}),
  tags: tagsSchema.default({}),
});

/** A connection of another system. */
export type ForeignConnection = z.output<typeof foreignConnectionSchema>;

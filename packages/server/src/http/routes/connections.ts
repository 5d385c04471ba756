import { z } from 'zod';
import { registerConnection, replaceCredentials } from '../../connect/register-connection.ts';
import { replaceOAuthClient } from '../../connect/replace-client.ts';
import { oauthClientSchema } from '../../connections/oauth-client.ts';
import { jsonValueSchema } from '../../connections/json-value.ts';
import { parseReference, referenceShape } from '../../connections/connection-reference.ts';
import {
  accountSchema,
  additionalConfigSchema,
  storableTextSchema,
  tagNameSchema,
  tagsSchema,
  tagValueSchema,
  userIdSchema,
} from '../../connections/connection-input.ts';
import { integrationNameSchema } from '../../config/integration-name.ts';
import {
  publicConnectionSchema,
  publicCredentialsSchema,
  withCredentials,
} from '../../connections/public-connection.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { CREDENTIALS_READ } from '../audit.ts';
import { NO_STORE } from '../response-headers.ts';
import { accountShape } from './account-shape.ts';
import type { App, ServerContext } from '../server-context.ts';
import { Secret } from '../../vault/secret.ts';

const MAX_PAGE = 200;

// The key is in the query, and never in the path: a user id may be "..", contain "/" or look like anything else.
const referenceSchema = z.object(referenceShape);
const tagTextSchema = z.string().max(1_000);
const tagFilterSchema = z.array(tagTextSchema.transform(splitTag).pipe(z.tuple([tagNameSchema, tagValueSchema])));
const listQuerySchema = z
  .object({
    integration: integrationNameSchema.optional(),
    userId: userIdSchema.optional(),
    userIdPrefix: storableTextSchema.min(1).max(512).optional().describe('The first characters of the user id'),
    account: accountSchema.optional(),
    identity: storableTextSchema.min(1).max(512).optional().describe('The provider’s id of the user who connected'),
    status: z.enum(['active', 'needs_reconnect']).optional(),
    tag: z
      .union([tagTextSchema, z.array(tagTextSchema).max(16)])
      .optional()
      .describe('A tag as name=value. If it is repeated, a connection must have all of the tags'),
    cursor: z.string().max(8_000).optional().describe('nextCursor of the page before'),
    limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
  })
  .refine(({ userId, userIdPrefix }) => userId === undefined || userIdPrefix === undefined, {
    message: 'cannot be combined with userId',
    path: ['userIdPrefix'],
  })
  .transform(({ tag, ...query }, ctx) => {
    if (tag === undefined) return { ...query, tags: undefined };
    const parsed = tagFilterSchema.safeParse(typeof tag === 'string' ? [tag] : tag);
    const tags = parsed.success ? Object.fromEntries(parsed.data) : {};
    if (Object.keys(tags).length === parsed.data?.length) return { ...query, tags };
    ctx.addIssue({ code: 'custom', message: 'must have the form name=value, each name once', path: ['tag'] });
    return z.NEVER;
  });
const credentialsSchema = z
  .record(z.string(), jsonValueSchema)
  .describe('The fields of the Integration’s auth mode. Other fields are stored under raw')
  .transform((given) => new Secret(given));
const connectionBody = z.object({ connection: publicConnectionSchema });
const errors = { 400: errorBodySchema, 401: errorBodySchema, 404: errorBodySchema, 409: errorBodySchema };

/** Registers, reads, changes and deletes connections. */
export function connectionRoutes({ context, connections, fresh }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.get(
      '/connections',
      {
        config: { scope: 'connections:read' },
        schema: {
          summary: 'List connections, without credentials',
          querystring: listQuerySchema,
          response: {
            200: z.object({ connections: z.array(publicConnectionSchema), nextCursor: z.string().nullable() }),
            400: errorBodySchema,
            401: errorBodySchema,
          },
        },
      },
      ({ query }) => connections.list(query),
    );

    app.post(
      '/connections',
      {
        config: { audit: 'connection.register' },
        schema: {
          summary: 'Register a connection with credentials that you have already',
          body: z.object({
            integration: integrationNameSchema,
            userId: userIdSchema,
            ...accountShape,
            credentials: credentialsSchema,
            additionalConfig: additionalConfigSchema.optional(),
            tags: tagsSchema.optional(),
            oauthClient: oauthClientSchema.optional(),
          }),
          response: { 201: connectionBody, ...errors },
        },
      },
      async ({ body }, reply) => {
        const connection = await registerConnection(body, context);
        return reply.code(201).send({ connection });
      },
    );

    app.get(
      '/connection',
      {
        config: { scope: 'connections:read', audit: CREDENTIALS_READ },
        schema: {
          summary: 'Read one connection with fresh credentials',
          querystring: referenceSchema,
          response: {
            200: connectionBody.extend({ credentials: publicCredentialsSchema }),
            ...errors,
            503: errorBodySchema,
          },
        },
      },
      async ({ query }, reply) => {
        void reply.headers(NO_STORE);
        return withCredentials(await fresh.get(parseReference(query)));
      },
    );

    app.put(
      '/connection/credentials',
      {
        config: { audit: 'credentials.replace' },
        schema: {
          summary: 'Replace the credentials of a connection',
          querystring: referenceSchema,
          body: z.object({ credentials: credentialsSchema }),
          response: { 200: connectionBody, ...errors },
        },
      },
      async ({ query, body: { credentials } }) => ({
        connection: await replaceCredentials(parseReference(query), credentials, context),
      }),
    );

    app.put(
      '/connection/config',
      {
        config: { audit: 'config.replace' },
        schema: {
          summary: 'Replace the additionalConfig of a connection',
          querystring: referenceSchema,
          body: z.object({ additionalConfig: additionalConfigSchema }),
          response: { 200: connectionBody, ...errors },
        },
      },
      async ({ query, body }) => ({
        connection: await connections.updateConfig(parseReference(query), body.additionalConfig),
      }),
    );

    app.put(
      '/connection/tags',
      {
        config: { audit: 'tags.replace' },
        schema: {
          summary: 'Replace the tags of a connection',
          querystring: referenceSchema,
          body: z.object({ tags: tagsSchema }),
          response: { 200: connectionBody, ...errors },
        },
      },
      async ({ query, body }) => ({ connection: await connections.updateTags(parseReference(query), body.tags) }),
    );

    app.put(
      '/connection/oauth-client',
      {
        config: { audit: 'oauth_client.replace' },
        schema: {
          summary: 'Replace the secret of a connection’s own OAuth app',
          querystring: referenceSchema,
          body: z.object({ oauthClient: oauthClientSchema }),
          response: { 200: connectionBody, ...errors, 503: errorBodySchema },
        },
      },
      async ({ query, body }) => ({
        connection: await replaceOAuthClient(parseReference(query), body.oauthClient, context),
      }),
    );

    app.delete(
      '/connection',
      {
        config: { audit: 'connection.delete' },
        schema: {
          summary: 'Delete a connection and its credentials',
          querystring: referenceSchema.extend({
            revoke: z
              .enum(['true', 'false'])
              .default('false')
              .describe('true: the provider revokes the grant first. If it refuses, the connection is not deleted'),
          }),
          response: { 204: z.null(), ...errors },
        },
      },
      async ({ query }, reply) => {
        await connections.delete(parseReference(query), { revoke: query.revoke === 'true' });
        return reply.code(204).send(null);
      },
    );
  };
}

/** Splits a filter such as `plan=pro` at its first `=`. */
function splitTag(text: string): string[] {
  const at = text.indexOf('=');
  return at < 0 ? [] : [text.slice(0, at), text.slice(at + 1)];
}

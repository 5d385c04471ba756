import { z } from 'zod';
import { registerConnection, replaceCredentials } from '../../connect/register-connection.ts';
import { jsonValueSchema } from '../../connections/json-value.ts';
import { additionalConfigSchema, userIdSchema } from '../../connections/connection-input.ts';
import { integrationNameSchema } from '../../config/integration-name.ts';
import {
  publicConnectionSchema,
  publicCredentialsSchema,
  withCredentials,
} from '../../connections/public-connection.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { CREDENTIALS_READ } from '../audit.ts';
import { NO_STORE } from '../response-headers.ts';
import type { App, ServerContext } from '../server-context.ts';
import { Secret } from '../../vault/secret.ts';

const MAX_PAGE = 200;

// The key is in the query, and never in the path: a user id may be "..", contain "/" or look like anything else.
const keySchema = z.object({ integration: integrationNameSchema, userId: userIdSchema });
const credentialsSchema = z
  .record(z.string(), jsonValueSchema)
  .describe('The fields of the Integration’s auth mode. Other fields are stored under raw')
  .transform((given) => new Secret(given));
const connectionBody = z.object({ connection: publicConnectionSchema });
const errors = { 400: errorBodySchema, 401: errorBodySchema, 404: errorBodySchema };

/** Registers, reads, changes and deletes connections. */
export function connectionRoutes({ context, connections, fresh }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.get(
      '/connections',
      {
        config: { scope: 'connections:read' },
        schema: {
          summary: 'List connections, without credentials',
          querystring: z.object({
            userId: userIdSchema.optional(),
            integration: integrationNameSchema.optional(),
            cursor: z.string().max(5_000).optional().describe('nextCursor of the previous page'),
            limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
          }),
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
          body: keySchema.extend({
            credentials: credentialsSchema,
            additionalConfig: additionalConfigSchema.optional(),
          }),
          response: { 201: connectionBody, ...errors, 409: errorBodySchema },
        },
      },
      async ({ body: { credentials, additionalConfig, ...key } }, reply) => {
        const connection = await registerConnection({ key, credentials, additionalConfig }, context);
        return reply.code(201).send({ connection });
      },
    );

    app.get(
      '/connection',
      {
        config: { scope: 'connections:read', audit: CREDENTIALS_READ },
        schema: {
          summary: 'Read one connection with fresh credentials',
          querystring: keySchema,
          response: {
            200: connectionBody.extend({ credentials: publicCredentialsSchema }),
            ...errors,
            409: errorBodySchema,
            503: errorBodySchema,
          },
        },
      },
      async ({ query }, reply) => {
        void reply.headers(NO_STORE);
        return withCredentials(await fresh.get(query));
      },
    );

    app.put(
      '/connection/credentials',
      {
        config: { audit: 'credentials.replace' },
        schema: {
          summary: 'Replace the credentials of a connection',
          querystring: keySchema,
          body: z.object({ credentials: credentialsSchema }),
          response: { 200: connectionBody, ...errors },
        },
      },
      async ({ query: key, body: { credentials } }) => ({
        connection: await replaceCredentials({ key, credentials }, context),
      }),
    );

    app.put(
      '/connection/config',
      {
        config: { audit: 'config.replace' },
        schema: {
          summary: 'Replace the additionalConfig of a connection',
          querystring: keySchema,
          body: z.object({ additionalConfig: additionalConfigSchema }),
          response: { 200: connectionBody, ...errors },
        },
      },
      async ({ query, body }) => ({ connection: await connections.updateConfig(query, body.additionalConfig) }),
    );

    app.delete(
      '/connection',
      {
        config: { audit: 'connection.delete' },
        schema: {
          summary: 'Delete a connection and its credentials',
          querystring: keySchema.extend({
            revoke: z
              .enum(['true', 'false'])
              .default('false')
              .describe('true: the provider revokes the grant first. If it refuses, the connection is not deleted'),
          }),
          response: { 204: z.null(), ...errors },
        },
      },
      async ({ query }, reply) => {
        await connections.delete(query, { revoke: query.revoke === 'true' });
        return reply.code(204).send(null);
      },
    );
  };
}

import { z } from 'zod';
import { apiRequestSchema } from '../../connections/api-request-schema.ts';
import { integrationNameSchema, userIdSchema } from '../../connections/connection-input.ts';
import type { App } from '../app.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { ServerContext } from '../server-context.ts';

const responseSchema = z.object({
  status: z.number(),
  statusText: z.string(),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  data: z.string().describe('The body as text'),
  json: z.unknown().optional().describe('The body, where it is JSON'),
});

/** Authorized calls to external APIs, for `request()` of the SDK. */
export function requestRoutes({ sendRequest }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.post(
      '/request',
      {
        schema: {
          summary: 'Send an authorized request to a connection’s API',
          body: apiRequestSchema.extend({ integration: integrationNameSchema, userId: userIdSchema }),
          response: {
            200: responseSchema,
            400: errorBodySchema,
            401: errorBodySchema,
            404: errorBodySchema,
            409: errorBodySchema,
            502: errorBodySchema,
            503: errorBodySchema,
            504: errorBodySchema,
          },
        },
      },
      async ({ body: { integration, userId, ...request } }, reply) => {
        void reply.header('cache-control', 'no-store');
        return sendRequest({ integration, userId }, request);
      },
    );
  };
}

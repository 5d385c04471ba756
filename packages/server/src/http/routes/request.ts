import { z } from 'zod';
import { apiRequestSchema, pageRequestSchema, pageSchema } from '../../calls/api-request-schema.ts';
import { parseReference, referenceShape } from '../../connections/connection-reference.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { App, ServerContext } from '../server-context.ts';

const responseSchema = z.object({
  status: z.number(),
  statusText: z.string(),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  data: z.string().describe('The body as text'),
  json: z.unknown().optional().describe('The parsed body, if it is JSON'),
  missingScopes: z
    .array(z.string())
    .optional()
    .describe('The scopes that the connection lacks, if the API refused with 403 and insufficient_scope (RFC 6750)'),
});

const errors = {
  400: errorBodySchema,
  401: errorBodySchema,
  403: errorBodySchema,
  404: errorBodySchema,
  409: errorBodySchema,
  429: errorBodySchema,
  502: errorBodySchema,
  503: errorBodySchema,
  504: errorBodySchema,
};

/** Sends authorized requests to external APIs, for `request()` of the SDK. */
export function requestRoutes({ sendRequest, readPage }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.post(
      '/request',
      {
        config: { scope: 'proxy' },
        schema: {
          summary: 'Send an authorized request to a connection’s API',
          body: apiRequestSchema.extend(referenceShape),
          response: { 200: responseSchema, ...errors },
        },
      },
      async ({ body: { connectionId, integration, userId, account, ...request }, caller, id }, reply) => {
        void reply.header('cache-control', 'no-store');
        const reference = parseReference({ connectionId, integration, userId, account });
        return sendRequest(reference, request, { via: 'request', caller, requestId: id });
      },
    );

    app.post(
      '/request/page',
      {
        config: { scope: 'proxy' },
        schema: {
          summary: 'Read a page of a list from a connection’s API',
          body: pageRequestSchema.extend(referenceShape),
          response: { 200: pageSchema, ...errors },
        },
      },
      async ({ body: { connectionId, integration, userId, account, ...request }, caller, id }, reply) => {
        void reply.header('cache-control', 'no-store');
        const reference = parseReference({ connectionId, integration, userId, account });
        return readPage(reference, request, { via: 'request', caller, requestId: id });
      },
    );
  };
}

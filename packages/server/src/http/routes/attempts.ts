import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { jsonValueSchema } from '../../connections/json-value.ts';
import { additionalConfigSchema } from '../../connections/connection-input.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { recordConnect } from '../audit.ts';
import { bearerToken } from '../secret-keys.ts';
import { routeOf } from '../request-route.ts';
import { rootUrl, type ServerContext, type App } from '../server-context.ts';
import { assertAttemptKey } from './attempt-key.ts';
import { Secret } from '../../vault/secret.ts';

const MAX_ATTEMPT_BYTES = 131_072;

const createSchema = {
  summary: 'Begin connecting a user; the front end SDK calls this',
  description:
    'On a loopback root URL pages of the same machine need no token; ' +
    'elsewhere a connect session token goes into Authorization.',
  body: z.object({
    integration: z.string(),
    userId: z.string(),
    additionalConfig: additionalConfigSchema.optional(),
    credentials: z
      .record(z.string(), jsonValueSchema)
      .transform((values) => new Secret(values))
      .optional()
      .describe('What the user was prompted for, for API_KEY and USERNAME_PASSWORD'),
  }),
  response: {
    201: z.object({
      attempt: z.string().describe('Identifies the attempt when its result is read'),
      status: z.enum(['pending', 'succeeded']).describe('succeeded: the provider needed no browser'),
      connectUrl: z.url().describe('Where the user’s browser goes, once'),
      nonce: z
        .string()
        .optional()
        .describe(
          'The proof that the page sends to the window it opened at connectUrl, ' +
            'so that the user is asked no question there',
        ),
      expiresAt: z.iso.datetime(),
    }),
    400: errorBodySchema,
    401: errorBodySchema,
    403: errorBodySchema,
    404: errorBodySchema,
  },
};

const resultSchema = {
  summary: 'The state of an attempt',
  params: z.object({ attempt: z.string().max(100) }),
  response: {
    200: z.object({
      status: z.enum(['pending', 'succeeded', 'failed']),
      error: z.object({ type: z.string(), message: z.string() }).nullable(),
    }),
    400: errorBodySchema,
  },
};

/** The routes of the frontend SDK: begin an attempt, and return its state. */
export function attemptRoutes(app: App, server: ServerContext): void {
  const { flow, context } = server;
  const preValidation = async (request: FastifyRequest, reply: FastifyReply) => void allowOrigin(request, reply);

  app.options('/attempts', { schema: { hide: true } }, async (request, reply) =>
    allowOrigin(request, reply).code(204).send(),
  );

  app.post(
    '/attempts',
    { schema: createSchema, bodyLimit: MAX_ATTEMPT_BYTES, preValidation },
    async (request, reply) => {
      const { body, headers } = request;
      const requester = {
        token: bearerToken(headers.authorization),
        origin: headers.origin,
        route: routeOf(request),
      };
      const { additionalConfig, credentials } = body;
      const { attempt, nonce, status, expiresAt } = await flow.create({
        ...assertAttemptKey(body),
        additionalConfig,
        credentials,
        requester,
      });
      if (status === 'succeeded')
        recordConnect(server, { request, integration: body.integration, userId: body.userId ?? '', status });
      const root = rootUrl(context.config().server.oauth_server_root_url);
      const connectUrl = `${root}/oauth/connect/${encodeURIComponent(body.integration)}?attempt=${attempt.reveal()}`;
      void reply.code(201).header('cache-control', 'no-store');
      return {
        attempt: attempt.reveal(),
        nonce: nonce?.reveal(),
        status,
        connectUrl,
        expiresAt: new Date(expiresAt).toISOString(),
      };
    },
  );

  app.get('/attempts/:attempt', { schema: resultSchema, preValidation }, async ({ params }, reply) => {
    const result = await flow.result(new Secret(params.attempt));
    if (!result) throw new NangoError('invalid_state', 'The attempt does not exist.');
    void reply.header('cache-control', 'no-store');
    return { status: result.status, error: result.error };
  });
}

/**
 * Allows the application's origin to read the response. The response depends on no cookie, so any origin may read it.
 */
function allowOrigin({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (headers.origin === undefined) return reply;
  return reply
    .header('access-control-allow-origin', headers.origin)
    .header('access-control-allow-methods', 'GET, POST')
    .header('access-control-allow-headers', 'authorization, content-type')
    .header('access-control-max-age', '600')
    .header('vary', 'origin');
}

import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { jsonValueSchema } from '../../connections/json-value.ts';
import { rootUrl } from '../../connect/callback-url.ts';
import type { AttemptResult } from '../../connect/connect-flow.ts';
import type { ConnectRequest } from '../../connect/connect-sessions.ts';
import { redirectUrlSchema } from '../../connect/session-options.ts';
import { additionalConfigSchema, connectionIdSchema } from '../../connections/connection-input.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { recordConnect } from '../audit.ts';
import { bearerToken } from '../secret-keys.ts';
import { routeOf } from '../request-route.ts';
import type { ServerContext, App } from '../server-context.ts';
import { accountShape } from './account-shape.ts';
import { assertAttemptKey } from './attempt-key.ts';
import { Secret } from '../../vault/secret.ts';
import { secretText } from '../../vault/secret-text.ts';

const MAX_ATTEMPT_BYTES = 131_072;
const MAX_TOKEN = 100;

const createSchema = {
  summary: 'Begin connecting a user. The frontend SDK sends this request',
  description:
    'If the root URL is a loopback address, pages on the same machine need no token. ' +
    'All other pages send a connect session token in the Authorization header.',
  body: z.object({
    integration: z.string().optional(),
    userId: z.string().optional(),
    ...accountShape,
    connectionId: connectionIdSchema
      .optional()
      .describe('A connection to connect again, in place of the other names. The token has to be for it'),
    additionalConfig: additionalConfigSchema.optional(),
    credentials: z
      .record(z.string(), jsonValueSchema)
      .transform((values) => new Secret(values))
      .optional()
      .describe('The prompted credentials, for auth modes that prompt the user, such as API_KEY'),
    redirectUrl: redirectUrlSchema
      .optional()
      .describe(
        'Where the browser goes afterwards: one of allowed_redirect_urls. That of the session takes precedence',
      ),
  }),
  response: {
    201: z.object({
      attempt: z.string().describe('The id of the attempt, for reading its result'),
      integration: z.string(),
      userId: z.string(),
      account: z.string().describe('The account that is connected'),
      status: z
        .enum(['pending', 'succeeded'])
        .describe('succeeded: the connection is stored already, because the provider needs no browser'),
      connectUrl: z.url().describe('The address that the user’s browser opens, once'),
      nonce: z
        .string()
        .optional()
        .describe(
          'The proof that the page sends to the window that it opened at connectUrl. ' +
            'The user then needs no confirmation there',
        ),
      expiresAt: z.iso.datetime(),
    }),
    400: errorBodySchema,
    401: errorBodySchema,
    403: errorBodySchema,
    404: errorBodySchema,
    409: errorBodySchema,
  },
};

const params = z.object({ attempt: secretText(MAX_TOKEN) });
const stateSchema = z.object({
  status: z.enum(['pending', 'succeeded', 'failed']),
  error: z.object({ type: z.string(), message: z.string() }).nullable(),
  alsoConnectedAs: z
    .array(z.string())
    .optional()
    .describe('The user’s other accounts that belong to the same account at the provider'),
});
const resultSchema = {
  summary: 'Read the state of an attempt',
  params,
  response: { 200: stateSchema, 400: errorBodySchema },
};
const redeemSchema = {
  summary: 'Read the result of an attempt whose browser returned with a code, once',
  params,
  body: z.object({ code: secretText(MAX_TOKEN).describe('The parameter nango_code of the page') }),
  response: {
    200: stateSchema.extend({ integration: z.string(), userId: z.string(), account: z.string() }),
    400: errorBodySchema,
  },
};

/** The routes of the frontend SDK: begin an attempt, and return its state. */
export function attemptRoutes(app: App, server: ServerContext): void {
  const { flow, context } = server;
  const preValidation = async (request: FastifyRequest, reply: FastifyReply) => void allowOrigin(request, reply);

  for (const path of ['/attempts', '/attempts/:attempt/result'])
    app.options(path, { schema: { hide: true } }, async (request, reply) =>
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
      const { additionalConfig, credentials, redirectUrl } = body;
      const input = { additionalConfig, credentials, redirectUrl, requester };
      const { attempt, nonce, expiresAt, ...created } = await flow.create({ ...namedIn(body), ...input });
      const { status, ...key } = created;
      if (status === 'succeeded') recordConnect(server, { request, ...key, status });
      const connectPage = `${rootUrl(context)}/oauth/connect/${encodeURIComponent(key.integration)}`;
      void reply.code(201).header('cache-control', 'no-store');
      return {
        ...created,
        attempt: attempt.reveal(),
        nonce: nonce?.reveal(),
        connectUrl: `${connectPage}?attempt=${attempt.reveal()}`,
        expiresAt: new Date(expiresAt).toISOString(),
      };
    },
  );

  app.get('/attempts/:attempt', { schema: resultSchema, preValidation }, async ({ params }, reply) => {
    const result = await flow.result(params.attempt);
    if (!result) throw new NangoError('invalid_state', 'The attempt does not exist.');
    void reply.header('cache-control', 'no-store');
    return toState(result);
  });

  app.post('/attempts/:attempt/result', { schema: redeemSchema, preValidation }, async ({ params, body }, reply) => {
    const result = await flow.redeem(params.attempt, body.code);
    void reply.header('cache-control', 'no-store');
    const { integration, userId, account } = result;
    return { ...toState(result), integration, userId, account };
  });
}

function toState({ status, error, alsoConnectedAs }: AttemptResult): z.output<typeof stateSchema> {
  return { status, error, ...(alsoConnectedAs.length === 0 ? {} : { alsoConnectedAs: [...alsoConnectedAs] }) };
}

/** Returns the connection that a body names. Throws `invalid_request` if it names none, or two. */
function namedIn(body: z.output<typeof createSchema.body>): ConnectRequest | { connectionId: string } {
  const { integration, userId, account, newAccount, connectionId } = body;
  if (connectionId === undefined) return { ...assertAttemptKey({ integration, userId }), account, newAccount };
  if ([integration, userId, account, newAccount].every((name) => name === undefined)) return { connectionId };
  throw new NangoError(
    'invalid_request',
    'Name the connection by connectionId, or by integration and userId, not both.',
  );
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

import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AttemptRequester } from '../../connections/connect-sessions.ts';
import { ATTEMPT_LIFE_MS, type AttemptResult, type BegunAttempt } from '../../connections/connect-flow.ts';
import { additionalConfigSchema, userIdSchema } from '../../connections/connection-input.ts';
import { NangoError } from '../../errors/nango-error.ts';
import type { App } from '../app.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { sendResultPage } from '../pages/result-page.ts';
import { bearerToken } from '../secret-key.ts';
import { callbackUrl, rootUrl, type ServerContext } from '../server-context.ts';
import { cookieHeader, parseCookies } from '../cookies.ts';

const MAX_FORM_BYTES = 65_536;
const MAX_ATTEMPT_BYTES = 131_072;

const attemptSchema = z.object({
  attempt: z.string().describe('Names the attempt when its result is asked for'),
  status: z.enum(['pending', 'succeeded']).describe('succeeded: the provider needed no user'),
  connectUrl: z.url().describe('Where the user’s browser goes, once'),
  expiresAt: z.iso.datetime(),
});

const resultSchema = z.object({
  status: z.enum(['pending', 'succeeded', 'failed']),
  error: z.object({ type: z.string(), message: z.string() }).nullable(),
});

/** The browser's part: beginning an attempt, the way to the provider and back, and its result. */
export function oauthRoutes(server: ServerContext) {
  const { flow, context } = server;
  return async (app: App): Promise<void> => {
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
      (_request, body, done) => done(null, body),
    );
    app.addHook('onRequest', async (request) => {
      if (!context.config().server.oauth_server_enabled)
        throw new NangoError(
          'not_found',
          `oauth_server_enabled is false, so there is no ${request.routeOptions.url ?? 'such route'}.`,
        );
    });

    app.options('/attempts', { schema: { hide: true } }, async (request, reply) =>
      allowOrigin(request, reply).code(204).send(),
    );

    app.post(
      '/attempts',
      {
        bodyLimit: MAX_ATTEMPT_BYTES,
        schema: {
          summary: 'Begin connecting a user; the front end SDK calls this',
          description:
            'On a loopback root URL pages of the same machine need no token; elsewhere a connect session token goes into Authorization.',
          body: z.object({
            integration: z.string(),
            userId: z.string(),
            additionalConfig: additionalConfigSchema.optional(),
          }),
          response: {
            201: attemptSchema,
            400: errorBodySchema,
            401: errorBodySchema,
            403: errorBodySchema,
            404: errorBodySchema,
          },
        },
        preValidation: async (request, reply) => void allowOrigin(request, reply),
      },
      async (request, reply) => {
        const { attempt, status, expiresAt } = await flow.create({
          ...request.body,
          ...assertKey(request.body),
          requester: requesterOf(request),
        });
        const connectUrl = `${rootUrl(context.config().server.oauth_server_root_url)}/oauth/connect/${encodeURIComponent(request.body.integration)}?attempt=${attempt}`;
        return reply
          .code(201)
          .header('cache-control', 'no-store')
          .send({ attempt, status, connectUrl, expiresAt: new Date(expiresAt).toISOString() });
      },
    );

    app.get(
      '/attempts/:attempt',
      {
        schema: {
          summary: 'How an attempt stands',
          params: z.object({ attempt: z.string().max(100) }),
          response: { 200: resultSchema, 404: errorBodySchema },
        },
        preValidation: async (request, reply) => void allowOrigin(request, reply),
      },
      async (request, reply) => {
        const result = await flow.result(request.params.attempt);
        if (!result) throw new NangoError('invalid_state', 'There is no such attempt.');
        void reply.header('cache-control', 'no-store');
        return { status: result.status, error: result.error };
      },
    );

    app.get(
      '/connect/:integration',
      { schema: { summary: 'Send the user’s browser to the provider', params: z.object({ integration: z.string() }) } },
      async (request, reply) => {
        try {
          const attempt = singleParams(request).get('attempt') ?? (await createFromLink(server, request));
          return redirectToProvider(server, { begun: await flow.begin(attempt, callbackUrl(context)), reply });
        } catch (error) {
          return sendFailure(error, request, reply);
        }
      },
    );

    app.get(
      '/callback',
      { schema: { summary: 'Where providers send the user’s browser back to' } },
      async (request, reply) => {
        const cookies = parseCookies(request.headers.cookie, isSecure(server));
        try {
          const params = uniqueParams(queryOf(request));
          const result = await flow.complete({ params, cookies });
          return sendResultPage(reply, result);
        } catch (error) {
          return sendFailure(error, request, reply);
        }
      },
    );

    // Form Post Response Mode: SameSite=Lax keeps our cookie from a cross-site POST, so the browser comes again by GET.
    app.post('/callback', { schema: { summary: 'The same, for response_mode=form_post' } }, async (request, reply) => {
      const form = z.string().catch('').parse(request.body);
      const state = uniqueParams(form)?.get('state') ?? '';
      if (!(await flow.acceptsFormPost(state))) {
        return sendFailure(
          new NangoError('invalid_state', 'No integration expects this answer as a form.'),
          request,
          reply,
        );
      }
      return noStore(reply).redirect(`${callbackUrl(context)}?${new URLSearchParams(form).toString()}`, 303);
    });
  };
}

function assertKey({ integration, userId }: { integration: string; userId: string }): {
  integration: string;
  userId: string;
} {
  if (userId === '')
    throw new NangoError('missing_user_id', 'connect() needs a user id: connect(integration, userId).');
  const { error } = userIdSchema.safeParse(userId);
  if (error) throw new NangoError('invalid_request', `The user id ${error.issues[0]?.message ?? 'is not usable'}.`);
  return { integration, userId };
}

/** `/oauth/connect/slack?user_id=1`: for a person who pastes an address, on a loopback root only. */
async function createFromLink(
  { flow }: ServerContext,
  request: FastifyRequest<{ Params: { integration: string } }>,
): Promise<string> {
  const key = assertKey({
    integration: request.params.integration,
    userId: singleParams(request).get('user_id') ?? '',
  });
  // A link on somebody else's page must not connect the developer's account to an id of that page's choice.
  if (request.headers['sec-fetch-site'] === 'cross-site')
    throw new NangoError('unauthorized', 'This address can be opened by hand, not from another site.');
  return (await flow.create({ ...key, requester: { token: undefined, origin: undefined } })).attempt;
}

function redirectToProvider(
  server: ServerContext,
  { begun, reply }: { begun: BegunAttempt; reply: FastifyReply },
): FastifyReply {
  void noStore(reply).header(
    'set-cookie',
    cookieHeader({ ...begun.cookie, secure: isSecure(server), maxAgeSeconds: ATTEMPT_LIFE_MS / 1000 }),
  );
  return reply.redirect(begun.authorizationUrl, 303);
}

function isSecure({ context }: ServerContext): boolean {
  return context.config().server.oauth_server_root_url.protocol === 'https:';
}

function sendFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = error instanceof NangoError;
  if (!known) request.log.error({ err: error }, 'connect page failed');
  const described = known
    ? { type: error.code, message: error.message }
    : { type: 'internal_error', message: 'The server could not go on; its log says why.' };
  const result: AttemptResult = { status: 'failed', integration: '', userId: '', origin: null, error: described };
  return sendResultPage(reply.code(known ? error.status : 500), result);
}

/** The SDK runs on the application's origin. No cookie or ambient right is involved, so any origin may read the answer. */
function allowOrigin(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { origin } = request.headers;
  if (origin === undefined) return reply;
  return reply
    .header('access-control-allow-origin', origin)
    .header('access-control-allow-methods', 'GET, POST')
    .header('access-control-allow-headers', 'authorization, content-type')
    .header('access-control-max-age', '600')
    .header('vary', 'origin');
}

function requesterOf({ headers }: FastifyRequest): AttemptRequester {
  return { token: bearerToken(headers.authorization), origin: headers.origin };
}

function noStore(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer');
}

function queryOf({ url }: FastifyRequest): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start + 1);
}

function singleParams(request: FastifyRequest): ReadonlyMap<string, string> {
  return uniqueParams(queryOf(request)) ?? new Map();
}

/** RFC 6749 §3.1: parameters must not be repeated. Undefined when one is. */
function uniqueParams(query: string): ReadonlyMap<string, string> | undefined {
  const pairs = [...new URLSearchParams(query)];
  const params = new Map(pairs);
  return params.size === pairs.length ? params : undefined;
}

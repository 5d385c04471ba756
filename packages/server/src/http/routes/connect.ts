import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ATTEMPT_LIFE_MS } from '../../connect/attempt-steps.ts';
import type { BeginProof } from '../../connect/connect-flow.ts';
import type { ConnectionContext } from '../../connections/connection-context.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { cookieHeader } from '../cookies.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { shownApplication } from '../pages/application.ts';
import { sendConnectPage } from '../pages/connect-page.ts';
import { sendFailurePage } from '../pages/result-page.ts';
import { routeOf } from '../request-route.ts';
import { isSecureRoot, type ServerContext, type App } from '../server-context.ts';
import { assertAttemptKey } from './attempt-key.ts';
import { queryOf, uniqueParams } from './unique-params.ts';
import type { Secret } from '../../vault/secret.ts';
import { secretText } from '../../vault/secret-text.ts';

const MAX_TOKEN = 100;

const params = z.object({ integration: z.string().max(100) });
const pageSchema = {
  summary: 'Open the first page of the popup, which sends the user’s browser to the provider',
  params,
};
/** The responses to a request that begins an authorization. */
export const begunSchema = {
  200: z.object({ authorizationUrl: z.string() }),
  400: errorBodySchema,
  403: errorBodySchema,
  404: errorBodySchema,
  502: errorBodySchema,
  503: errorBodySchema,
};
const beginSchema = {
  summary: 'Begin the authorization. The page at the same address sends this request',
  params,
  body: z
    .object({
      attempt: secretText(MAX_TOKEN),
      nonce: secretText(MAX_TOKEN).optional().describe('The nonce from the page that began the attempt'),
      confirmed: z.literal(true).optional().describe('true: the user clicked the button of the page'),
    })
    .refine(({ nonce, confirmed }) => nonce !== undefined || confirmed, 'nonce or confirmed is missing'),
  response: begunSchema,
};

/** `/oauth/connect/:integration`: the first page of the popup, which binds the attempt to this browser. */
export function connectRoute(app: App, server: ServerContext): void {
  const { flow, context } = server;
  app.get('/connect/:integration', { schema: pageSchema }, async (request, reply) => {
    try {
      const query = uniqueParams(queryOf(request));
      const attempt =
        query.secret('attempt') ?? (await createFromLink(server, { request, userId: query.text('user_id') ?? '' }));
      const waiting = await flow.findWaiting(attempt);
      if (waiting.needsProof)
        return sendConnectPage(reply, {
          attempt,
          waiting,
          application: shownApplication(waiting.origin, context),
        });
      const { authorizationUrl } = await beginAttempt(server, { attempt, proof: undefined, reply });
      return await reply.redirect(authorizationUrl, 303);
    } catch (error) {
      return sendFailurePage(error, { request, reply, context });
    }
  });

  app.post('/connect/:integration', { schema: beginSchema }, async (request, reply) => {
    assertOwnPage(request, context);
    const { attempt, nonce } = request.body;
    return beginAttempt(server, { attempt, proof: nonce === undefined ? 'clicked' : { nonce }, reply });
  });
}

/**
 * Throws `forbidden` unless a page of this server sent the request. A page of another origin cannot send JSON without
 * permission by CORS either, and no origin has permission here.
 */
export function assertOwnPage({ headers }: FastifyRequest, { config }: ConnectionContext): void {
  if (headers.origin === config().server.oauth_server_root_url.origin) return;
  throw new NangoError('forbidden', 'Only the page at this address may send this request.');
}

/** Begins the authorization, and sets the cookie that binds it to this browser. */
export async function beginAttempt(
  { flow, context }: ServerContext,
  { attempt, proof, reply }: { attempt: Secret<string>; proof: BeginProof; reply: FastifyReply },
): Promise<{ authorizationUrl: string }> {
  const { authorizationUrl, cookie } = await flow.begin(attempt, proof);
  const maxAgeSeconds = ATTEMPT_LIFE_MS / 1000;
  void reply
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .header('set-cookie', cookieHeader({ ...cookie, secure: isSecureRoot(context), maxAgeSeconds }));
  return { authorizationUrl: authorizationUrl.reveal() };
}

interface Link {
  readonly request: FastifyRequest<{ Params: { integration: string } }>;
  readonly userId: string;
}

/**
 * `/oauth/connect/acme?user_id=1`: for a developer who types an address into the browser. Only with a loopback root.
 */
async function createFromLink({ flow }: ServerContext, { request, userId }: Link): Promise<Secret<string>> {
  const key = assertAttemptKey({ integration: request.params.integration, userId });
  // A link on another page must not connect the developer's account to a user id that this page chose.
  if (request.headers['sec-fetch-site'] === 'cross-site') {
    throw new NangoError('unauthorized', 'This address cannot be opened from another site. Type it into the browser.');
  }
  return (await flow.create({ ...key, requester: { token: undefined, origin: undefined, route: routeOf(request) } }))
    .attempt;
}

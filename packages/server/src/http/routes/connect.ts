import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ATTEMPT_LIFE_MS } from '../../connections/attempt-steps.ts';
import { NangoError } from '../../errors/nango-error.ts';
import type { App } from '../app.ts';
import { cookieHeader } from '../cookies.ts';
import { sendFailurePage } from '../pages/result-page.ts';
import { callbackUrl, isSecureRoot, type ServerContext } from '../server-context.ts';
import { assertAttemptKey } from './attempt-key.ts';
import { queryOf, uniqueParams } from './unique-params.ts';

const schema = { summary: 'Send the user’s browser to the provider', params: z.object({ integration: z.string() }) };

/** `/oauth/connect/:integration`: the popup's first stop, which binds the attempt to this browser. */
export function connectRoute(app: App, server: ServerContext): void {
  const { flow, context } = server;
  app.get('/connect/:integration', { schema }, async (request, reply) => {
    try {
      const params = uniqueParams(queryOf(request));
      const attempt =
        params.get('attempt') ?? (await createFromLink(server, { request, userId: params.get('user_id') ?? '' }));
      const { authorizationUrl, cookie } = await flow.begin(attempt, callbackUrl(context));
      const maxAgeSeconds = ATTEMPT_LIFE_MS / 1000;
      return await reply
        .header('cache-control', 'no-store')
        .header('referrer-policy', 'no-referrer')
        .header('set-cookie', cookieHeader({ ...cookie, secure: isSecureRoot(context), maxAgeSeconds }))
        .redirect(authorizationUrl, 303);
    } catch (error) {
      return sendFailurePage(error, request, reply);
    }
  });
}

interface Link {
  readonly request: FastifyRequest<{ Params: { integration: string } }>;
  readonly userId: string;
}

/** `/oauth/connect/acme?user_id=1`: for a person who pastes an address, on a loopback root only. */
async function createFromLink({ flow }: ServerContext, { request, userId }: Link): Promise<string> {
  const key = assertAttemptKey({ integration: request.params.integration, userId });
  // A link on somebody else's page must not connect the developer's account to an id of that page's choice.
  if (request.headers['sec-fetch-site'] === 'cross-site') {
    throw new NangoError('unauthorized', 'This address can be opened by hand, not from another site.');
  }
  return (await flow.create({ ...key, requester: { token: undefined, origin: undefined } })).attempt;
}

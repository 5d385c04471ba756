import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { callbackUrl } from '../../connect/callback-url.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { parseCookies } from '../cookies.ts';
import { sendFailurePage, sendResultPage } from '../pages/result-page.ts';
import { recordConnect } from '../audit.ts';
import { isSecureRoot, type ServerContext, type App } from '../server-context.ts';
import { queryOf, uniqueParams } from './unique-params.ts';
import { Secret } from '../../vault/secret.ts';

const MAX_FORM_BYTES = 65_536;

/** `/oauth/callback`: providers redirect the user's browser to it (RFC 6749 §4.1.2). */
export function callbackRoutes(app: App, server: ServerContext): void {
  const { flow, context } = server;
  app.get(
    '/callback',
    { schema: { summary: 'Receive the user’s browser from the provider' } },
    async (request, reply) => {
      try {
        const cookies = parseCookies(request.headers.cookie, isSecureRoot(context));
        const result = await flow.complete({ params: uniqueParams(queryOf(request)), cookies });
        if (result.status !== 'pending') recordConnect(server, { request, ...result });
        return result.returnUrl ? sendBack(reply, result.returnUrl) : sendResultPage(reply, result);
      } catch (error) {
        return sendFailurePage(error, { request, reply, context });
      }
    },
  );

  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
    (_request, body, done) => done(null, body),
  );
  // Form Post Response Mode: a cross-site POST carries no SameSite=Lax cookie, so the browser is redirected to come
  // again by GET.
  app.post(
    '/callback',
    { schema: { summary: 'Receive the user’s browser from the provider, for response_mode=form_post' } },
    async (request, reply) => {
      const form = z.string().catch('').parse(request.body);
      try {
        if (!(await flow.acceptsFormPost(uniqueParams(form).secret('state') ?? new Secret(''))))
          throw new NangoError('invalid_state', 'No integration expects this response as a form.');
      } catch (error) {
        return sendFailurePage(error, { request, reply, context });
      }
      return sendBack(reply, new Secret(`${callbackUrl(context)}?${new URLSearchParams(form).toString()}`));
    },
  );
}

/** Redirects the browser to a URL that holds a code. */
function sendBack(reply: FastifyReply, url: Secret<string>): FastifyReply {
  return reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer').redirect(url.reveal(), 303);
}

import { z } from 'zod';
import { rootUrl } from '../../connect/callback-url.ts';
import { createLinkAttempt, findLink } from '../../connect/link-flow.ts';
import type { ConnectionContext } from '../../connections/connection-context.ts';
import type { Secret } from '../../vault/secret.ts';
import { secretText } from '../../vault/secret-text.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { shownApplication } from '../pages/application.ts';
import { sendLinkEndPage, sendLinkPage } from '../pages/link-page.ts';
import { sendFailurePage } from '../pages/result-page.ts';
import type { App, ServerContext } from '../server-context.ts';
import { assertOwnPage, beginAttempt, begunSchema } from './connect.ts';

const params = z.object({ token: secretText(200) });
const pageSchema = { summary: 'Open a link to connect. It changes nothing, and shows a page with a button', params };
const beginSchema = {
  summary: 'Begin the authorization of a link. The page at the same address sends this request',
  params,
  body: z.object({ integration: z.string().max(100) }),
  response: { ...begunSchema, 409: errorBodySchema, 410: errorBodySchema },
};

/** `/oauth/link/:token`: links to connect, which can be mailed. */
export function linkRoutes(app: App, server: ServerContext): void {
  const { context } = server;
  app.get('/link/:token', { schema: pageSchema }, async (request, reply) => {
    const application = shownApplication(null, context);
    try {
      const link = await findLink(request.params.token, context);
      if (typeof link === 'string') return sendLinkEndPage(reply, link);
      return sendLinkPage(reply, link, application);
    } catch (error) {
      return sendFailurePage(error, { request, reply, context });
    }
  });

  app.post('/link/:token', { schema: beginSchema }, async (request, reply) => {
    assertOwnPage(request, context);
    const { integration } = request.body;
    const attempt = await createLinkAttempt(request.params.token, integration, context);
    return beginAttempt(server, { attempt, proof: 'clicked', reply });
  });
}

/** Returns the address of a link. */
export function linkUrl(token: Secret<string>, context: ConnectionContext): string {
  return `${rootUrl(context)}/oauth/link/${token.reveal()}`;
}

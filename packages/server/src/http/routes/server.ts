import { z } from 'zod';
import { callbackUrl, redirectUriOf } from '../../connect/callback-url.ts';
import { askedConfig, authModeOf } from '../../connections/connection-context.ts';
import { inputFieldsSchema } from '../../connections/connection-input.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { errorBodySchema } from '../error-mapper.ts';
import { sendPage } from '../pages/page.ts';
import { welcomePage } from '../pages/welcome-page.ts';
import { requireSecretKey } from '../secret-keys.ts';
import type { ServerContext, App } from '../server-context.ts';
import { notFound } from '../not-found.ts';

const serverSchema = z.object({
  version: z.string(),
  callbackUrl: z.url().describe('The redirect URI to register at providers, unless the Integration has its own'),
  integrations: z.array(
    z.object({
      name: z.string(),
      authMode: z.string(),
      blueprint: z.string().nullable(),
      callbackUrl: z.url().describe('The redirect URI to register at its provider'),
      actions: z.array(z.string()),
      credentials: inputFieldsSchema
        .nullable()
        .describe('The fields to prompt the user for. Null if the user authorizes in a browser, or has nothing to do'),
      config: inputFieldsSchema.describe('The fields of additionalConfig'),
    }),
  ),
});

const healthySchema = z.object({ status: z.literal('ok') });

/** Returns the health of this server, and facts about it. */
export function serverRoutes(server: ServerContext) {
  return async (app: App): Promise<void> => {
    app.get('/', { schema: { summary: 'Show a page that says that the server runs' } }, async ({ headers }, reply) => {
      if (!headers.accept?.includes('text/html')) throw notFound();
      return sendPage(reply, welcomePage());
    });
    app.get(
      '/health/live',
      { schema: { summary: 'Check whether the process responds', response: { 200: healthySchema } } },
      async () => ({ status: 'ok' as const }),
    );
    for (const path of ['/health/ready', '/health']) {
      app.get(
        path,
        {
          schema: {
            summary: 'Check whether the server can handle requests: the database works, and the server is not stopping',
            response: { 200: healthySchema, 503: errorBodySchema },
          },
        },
        async () => {
          if (server.isStopping())
            throw new NangoError('server_stopping', 'The server is stopping.', { retryAfter: 1 });
          await server.context.store.ping();
          return { status: 'ok' as const };
        },
      );
    }

    app.get(
      '/api/server',
      {
        onRequest: requireSecretKey(server.secretKeys),
        config: { scope: 'any' },
        schema: {
          summary: 'Read the version, the callback URL and the integrations of the server',
          response: { 200: serverSchema, 401: errorBodySchema },
        },
      },
      async () => {
        const integrations = [...server.context.config().integrations.values()].map(async (integration) => ({
          name: integration.name,
          authMode: integration.auth.auth_mode,
          blueprint: integration.blueprint ?? null,
          callbackUrl: redirectUriOf(integration, server.context),
          actions: await server.actions.list(integration.name),
          credentials: authModeOf(integration).prompted?.fields(integration) ?? null,
          config: askedConfig(integration),
        }));
        return {
          version: server.version,
          callbackUrl: callbackUrl(server.context),
          integrations: await Promise.all(integrations),
        };
      },
    );
  };
}

import { z } from 'zod';
import { errorBodySchema } from '../error-mapper.ts';
import type { App } from '../app.ts';
import { requireSecretKey } from '../secret-key.ts';
import { callbackUrl, type ServerContext } from '../server-context.ts';

const serverSchema = z.object({
  version: z.string(),
  callbackUrl: z.url().describe('The redirect URI to register at providers'),
  integrations: z.array(
    z.object({
      name: z.string(),
      authMode: z.string(),
      blueprint: z.string().nullable(),
      actions: z.array(z.string()),
    }),
  ),
});

/** Health, and what this server knows. */
export function serverRoutes(server: ServerContext) {
  return async (app: App): Promise<void> => {
    app.get(
      '/health',
      {
        schema: {
          summary: 'Whether the server and its database work',
          response: { 200: z.object({ status: z.literal('ok') }), 503: errorBodySchema },
        },
      },
      async () => {
        await server.context.store.ping();
        return { status: 'ok' as const };
      },
    );

    app.get(
      '/api/server',
      {
        onRequest: requireSecretKey(server.secretKey),
        schema: {
          summary: 'Version, callback URL and integrations',
          response: { 200: serverSchema, 401: errorBodySchema },
        },
      },
      async () => {
        const integrations = [...server.context.config().integrations.values()].map(
          async ({ name, auth, blueprint }) => ({
            name,
            authMode: auth.auth_mode,
            blueprint: blueprint ?? null,
            actions: await server.actions.list(name),
          }),
        );
        return {
          version: server.version,
          callbackUrl: callbackUrl(server.context),
          integrations: await Promise.all(integrations),
        };
      },
    );
  };
}

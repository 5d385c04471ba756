import { z } from 'zod';
import { confirmConnection } from '../../connect/confirmations.ts';
import { userIdSchema } from '../../connections/connection-input.ts';
import { secretText } from '../../vault/secret-text.ts';
import { recordConnect } from '../audit.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { App, ServerContext } from '../server-context.ts';

const schema = {
  summary: 'Store the connection that a browser brought a code for',
  description: 'For sessions with confirm. The code is used, even if the user is another one and nothing is stored.',
  body: z.object({
    code: secretText(100, { min: 1 }).describe('The parameter nango_code of the page to which the browser returned'),
    userId: userIdSchema.describe('The user who is signed in in that browser'),
  }),
  response: {
    200: z.object({ connectionId: z.string(), integration: z.string(), userId: z.string(), account: z.string() }),
    400: errorBodySchema,
    401: errorBodySchema,
    403: errorBodySchema,
    404: errorBodySchema,
    409: errorBodySchema,
    410: errorBodySchema,
  },
};

/** Confirms connections of sessions with `confirm`. */
export function confirmationRoutes(server: ServerContext) {
  return async (app: App): Promise<void> => {
    app.post(
      '/connect-confirmations',
      { config: { scope: 'connect', audit: 'connection.confirm' }, schema },
      async (request, reply) => {
        const { id, integration, userId, account } = await confirmConnection(request.body, server.context);
        const names = { integration, userId, account };
        recordConnect(server, { request, actor: request.caller, ...names, status: 'succeeded' });
        void reply.header('cache-control', 'no-store');
        return { connectionId: id, ...names };
      },
    );
  };
}

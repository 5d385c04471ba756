import { z } from 'zod';
import { createConnectSession, MAX_SESSION_SECONDS } from '../../connect/create-session.ts';
import { sessionOptionsSchema } from '../../connect/session-options.ts';
import { oauthClientSchema } from '../../connections/oauth-client.ts';
import { tagsSchema, userIdSchema } from '../../connections/connection-input.ts';
import { integrationNameSchema } from '../../config/integration-name.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { App, ServerContext } from '../server-context.ts';
import { accountShape } from './account-shape.ts';
import { linkUrl } from './links.ts';

const originSchema = z
  .url({ protocol: /^https?$/ })
  .refine((text) => URL.parse(text)?.origin === text, 'must be an origin, such as https://app.example.com');

/** Creates connect session tokens. */
export function connectSessionRoutes({ context }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.post(
      '/connect-sessions',
      {
        config: { scope: 'connect', audit: 'connect_session.create' },
        schema: {
          summary: 'Permit one user to connect accounts from the browser',
          body: z.object({
            userId: userIdSchema.optional(),
            ...accountShape,
            tags: tagsSchema.optional(),
            integrations: z
              .array(integrationNameSchema)
              .min(1)
              .optional()
              .describe('The integrations that the token permits. Default: all'),
            origin: originSchema
              .optional()
              .describe('The only origin whose pages may use the token. Default: every origin'),
            ...sessionOptionsSchema.shape,
            oauthClient: oauthClientSchema.optional(),
            expiresInSeconds: z
              .number()
              .int()
              .min(1)
              .max(MAX_SESSION_SECONDS)
              .optional()
              .describe('Lifetime of the link, and of the token, which lives at most a day. Default: 900'),
          }),
          response: {
            201: z.object({
              token: z.string(),
              account: z.string(),
              expiresAt: z.iso.datetime(),
              connectUrl: z
                .url()
                .nullable()
                .describe(
                  'A link for the user. Null if integrations is absent, or one of them needs fields from the user',
                ),
              connectUrlExpiresAt: z.iso.datetime().nullable(),
            }),
            400: errorBodySchema,
            401: errorBodySchema,
            404: errorBodySchema,
            409: errorBodySchema,
          },
        },
      },
      async ({ body }, reply) => {
        const { token, account, expiresAt, link } = await createConnectSession(body, context);
        return reply
          .code(201)
          .header('cache-control', 'no-store')
          .send({
            token: token.reveal(),
            account,
            expiresAt: new Date(expiresAt).toISOString(),
            connectUrl: link ? linkUrl(link.token, context) : null,
            connectUrlExpiresAt: link ? new Date(link.expiresAt).toISOString() : null,
          });
      },
    );
  };
}

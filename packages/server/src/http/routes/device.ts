import { z } from 'zod';
import { additionalConfigSchema, tagsSchema, userIdSchema } from '../../connections/connection-input.ts';
import { integrationNameSchema } from '../../config/integration-name.ts';
import { recordConnect } from '../audit.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { App, ServerContext } from '../server-context.ts';
import { accountShape } from './account-shape.ts';
import { secretText } from '../../vault/secret-text.ts';

const errors = {
  400: errorBodySchema,
  401: errorBodySchema,
  403: errorBodySchema,
  404: errorBodySchema,
  409: errorBodySchema,
  502: errorBodySchema,
};

/** Connects from a machine without a browser (RFC 8628). */
export function deviceRoutes(server: ServerContext) {
  const { devices } = server;
  return async (app: App): Promise<void> => {
    app.post(
      '/device-authorizations',
      {
        config: { scope: 'connect', audit: 'device_authorization.begin' },
        schema: {
          summary: 'Begin connecting a user who authorizes on another device with a code (RFC 8628)',
          body: z.object({
            integration: integrationNameSchema,
            userId: userIdSchema,
            ...accountShape,
            tags: tagsSchema.optional(),
            additionalConfig: additionalConfigSchema.optional(),
          }),
          response: {
            201: z.object({
              attempt: z.string().describe('The id of the attempt, for polling'),
              account: z.string().describe('The account that is connected'),
              userCode: z.string(),
              verificationUri: z.url(),
              verificationUriComplete: z.url().optional().describe('verificationUri with the code in it'),
              expiresIn: z.number().describe('Lifetime of the code, in seconds'),
              interval: z.number().describe('Seconds to wait between two polls'),
            }),
            ...errors,
          },
        },
      },
      async ({ body }, reply) => {
        const begun = await devices.begin(body);
        return reply
          .code(201)
          .header('cache-control', 'no-store')
          .send({ ...begun, attempt: begun.attempt.reveal() });
      },
    );

    app.post(
      '/device-authorizations/poll',
      {
        config: { scope: 'connect' },
        schema: {
          summary: 'Ask the provider once whether the user has authorized the connection',
          body: z.object({ attempt: secretText(100) }),
          response: {
            200: z.object({
              status: z
                .enum(['pending', 'slow_down', 'succeeded'])
                .describe('slow_down: from now on, wait five seconds longer between two polls'),
            }),
            ...errors,
          },
        },
      },
      async (request) => ({
        status: await devices.poll(request.body.attempt, ({ integration, userId, account }, status) =>
          recordConnect(server, { request, actor: request.caller, integration, userId, account, status }),
        ),
      }),
    );
  };
}

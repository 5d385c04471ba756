import { z } from 'zod';
import { jsonValueSchema } from '../../connections/json-value.ts';
import { parseReference, referenceShape } from '../../connections/connection-reference.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { App, ServerContext } from '../server-context.ts';

const { integration: _, ...userShape } = referenceShape;

/** Runs Actions. */
export function actionRoutes({ runAction }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.post(
      '/actions/:integration/:action',
      {
        config: { scope: 'proxy', audit: 'action.run' },
        schema: {
          summary: 'Run an Action for one connection',
          params: z.object({ integration: z.string(), action: z.string() }),
          body: z.object({ ...userShape, input: jsonValueSchema.default(null) }),
          response: {
            200: z.object({ result: jsonValueSchema }),
            400: errorBodySchema,
            401: errorBodySchema,
            404: errorBodySchema,
            409: errorBodySchema,
            500: errorBodySchema,
          },
        },
      },
      async ({ params, body: { input, ...user }, id }) => {
        const reference = parseReference({ ...user, integration: params.integration });
        return { result: await runAction({ ...params, reference, input, requestId: id }) };
      },
    );
  };
}

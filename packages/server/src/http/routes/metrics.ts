import { z } from 'zod';
import { errorBodySchema } from '../error-mapper.ts';
import { requireSecretKey } from '../secret-keys.ts';
import type { App, ServerContext } from '../server-context.ts';

/** Returns metrics for Prometheus. */
export function metricsRoute({ metrics, secretKeys }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.get(
      '/metrics',
      {
        onRequest: requireSecretKey(secretKeys),
        config: { scope: 'metrics' },
        schema: {
          summary: 'Read metrics in the text format of Prometheus, with a secret key that has the scope metrics',
          response: { 200: z.string(), 401: errorBodySchema, 403: errorBodySchema },
        },
      },
      async (_request, reply) => {
        void reply
          .header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
          .header('cache-control', 'no-store');
        return metrics();
      },
    );
  };
}

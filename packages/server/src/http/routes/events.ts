import { z } from 'zod';
import { storableTextSchema } from '../../connections/connection-input.ts';
import { deadPageSchema, eventSchema } from '../../events/event-log.ts';
import { errorBodySchema } from '../error-mapper.ts';
import type { App, ServerContext } from '../server-context.ts';

const MAX_PAGE = 200;

const page = z.object({
  cursor: z.string().max(1_000).optional().describe('nextCursor of the previous page'),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
});
const errors = { 400: errorBodySchema, 401: errorBodySchema };

/** Lists events and failed deliveries, and delivers failed ones again. */
export function eventRoutes({ events, nudgeWebhooks }: ServerContext) {
  return async (app: App): Promise<void> => {
    app.get(
      '/events',
      {
        config: { scope: 'connections:read' },
        schema: {
          summary: 'List events in order, beginning with the oldest stored event',
          querystring: page,
          response: {
            200: z.object({
              events: z.array(eventSchema),
              nextCursor: z.string().describe('The cursor of the next page. It stays valid'),
              hasMore: z.boolean().describe('Whether more events exist now'),
            }),
            ...errors,
          },
        },
      },
      ({ query }) => events.list(query),
    );

    app.get(
      '/webhooks/dead',
      {
        config: { scope: 'connections:read' },
        schema: {
          summary: 'List events that a webhook did not accept within three days',
          querystring: page,
          response: { 200: deadPageSchema, ...errors },
        },
      },
      ({ query }) => events.listDead(query),
    );

    app.post(
      '/webhooks/replay',
      {
        config: { audit: 'webhook.replay' },
        schema: {
          summary: 'Deliver events again that a webhook did not accept',
          body: z.object({
            webhook: z.string().min(1).max(100),
            eventId: storableTextSchema
              .min(1)
              .max(100)
              .optional()
              .describe('The event to deliver. Default: all such events of this webhook'),
          }),
          response: { 200: z.object({ replayed: z.number() }), ...errors, 404: errorBodySchema },
        },
      },
      async ({ body }) => {
        const replayed = await events.replay(body);
        nudgeWebhooks();
        return { replayed };
      },
    );
  };
}

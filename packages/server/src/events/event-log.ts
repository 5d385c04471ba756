import { z } from 'zod';
import { identitySchema, storableTextSchema } from '../connections/connection-input.ts';
import { createCursor, parseCursor } from '../connections/cursor.ts';
import { NangoError } from '../errors/nango-error.ts';
import { EVENT_TYPES } from '../event-types.ts';
import { DEFAULT_ACCOUNT } from '../store/store.ts';
import type { EventRow, EventStore } from '../store/event-store.ts';
import { suggest } from '../schema/suggest.ts';
import type { EventContext } from './event-context.ts';

const PUBLISH_BATCH = 200;

/** The schema of an event in the API and in webhooks. */
export const eventSchema = z.object({
  id: z.string().describe('The same for every delivery of this event'),
  type: z.enum(EVENT_TYPES),
  timestamp: z.iso.datetime(),
  data: z
    .object({
      id: z.string(),
      uuid: z.string().describe('The id, by its name in earlier releases'),
      integration: z.string(),
      userId: z.string(),
      account: z.string(),
      identity: identitySchema,
      tags: z.record(z.string(), z.string()),
      authMode: z.string(),
      status: z.enum(['active', 'needs_reconnect']),
      statusReason: z.string().nullable(),
      error: z
        .string()
        .optional()
        .describe('Only for connection.refresh_failed: the error of the provider or the network'),
    })
    .describe('The connection as it was when the event occurred, without credentials'),
});

/** An event in the API and in webhooks. */
export type Event = z.output<typeof eventSchema>;

/**
 * A page of events. `nextCursor` is the cursor of the next page; it stays valid. `hasMore` says whether there are more
 * events now.
 */
export interface EventPage {
  readonly events: Event[];
  readonly nextCursor: string;
  readonly hasMore: boolean;
}

const deadDeliverySchema = z.object({
  webhook: z.string(),
  error: z.string().nullable().describe('The error of the last attempt'),
  event: eventSchema,
});

/** The schema of a page of dead deliveries. `nextCursor` is null on the last page. */
export const deadPageSchema = z.object({ deliveries: z.array(deadDeliverySchema), nextCursor: z.string().nullable() });

const eventCursor = z.tuple([z.int().min(0)]);
const deadCursor = z.tuple([z.int().min(0), storableTextSchema]);

/** Reads events, and delivers dead events again. */
export class EventLog {
  readonly #context: EventContext;

  constructor(context: EventContext) {
    this.#context = context;
  }

  async list({ cursor, limit }: { cursor?: string | undefined; limit: number }): Promise<EventPage> {
    const after = cursor === undefined ? 0 : parseCursor(cursor, eventCursor)[0];
    await publishAll(this.#context);
    const rows = await this.#context.store.listEvents({ after, limit: limit + 1 });
    const page = rows.slice(0, limit);
    return {
      events: page.map(toEvent),
      nextCursor: createCursor([page.at(-1)?.position ?? after]),
      hasMore: rows.length > limit,
    };
  }

  async listDead({
    cursor,
    limit,
  }: {
    cursor?: string | undefined;
    limit: number;
  }): Promise<z.output<typeof deadPageSchema>> {
    const [position, webhook] = cursor === undefined ? [] : parseCursor(cursor, deadCursor);
    const after = position === undefined || webhook === undefined ? undefined : { position, webhook };
    const rows = await this.#context.store.listDeadDeliveries({ after, limit: limit + 1 });
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return {
      deliveries: page.map((row) => ({ webhook: row.webhook, error: row.error, event: toEvent(row.event) })),
      nextCursor: last ? createCursor([last.event.position, last.webhook]) : null,
    };
  }

  /** Delivers dead events again. Resolves to their number. Throws `not_found` if the webhook is not configured. */
  async replay({ webhook, eventId }: { webhook: string; eventId?: string | undefined }): Promise<number> {
    const { webhooks } = this.#context.config().server;
    if (!Object.hasOwn(webhooks, webhook))
      throw new NangoError(
        'not_found',
        `nango-config.yaml has no webhook "${webhook}".${suggest(webhook, Object.keys(webhooks))}`,
      );
    return this.#context.store.replayDeliveries({ webhook, eventId });
  }
}

/** Publishes all unpublished events for the webhooks that are configured now. */
export async function publishAll({ store, config }: Pick<EventContext, 'store' | 'config'>): Promise<void> {
  const webhooksOf: Parameters<EventStore['publishEvents']>[0]['webhooksOf'] = (type) =>
    Object.entries(config().server.webhooks).flatMap(([name, { events }]) => (events.includes(type) ? [name] : []));
  while ((await store.publishEvents({ limit: PUBLISH_BATCH, webhooksOf })) === PUBLISH_BATCH);
}

// Earlier releases stored neither id, account, identity nor tags.
const storedDataSchema = z.looseObject({ uuid: z.string() });

/** A stored event, as the API and webhooks show it. */
export function toEvent({ id, type, createdAt, data }: EventRow): Event {
  const stored = storedDataSchema.parse(JSON.parse(data));
  const defaults = { id: stored.uuid, account: DEFAULT_ACCOUNT, identity: null, tags: {} };
  return eventSchema.parse({
    id,
    type,
    timestamp: new Date(createdAt).toISOString(),
    data: { ...defaults, ...stored },
  });
}

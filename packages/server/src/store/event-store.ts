/** What can happen to a connection. */
export const EVENT_TYPES = [
  'connection.created',
  'connection.reconnected',
  'connection.refreshed',
  'connection.refresh_failed',
  'connection.needs_reconnect',
  'connection.recovered',
  'connection.deleted',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** An event about a connection, written in the transaction of its change. */
export interface EventRow {
  /** Stays the same, however often the event is delivered. */
  readonly id: string;
  readonly type: EventType;
  /** The connection's uuid. */
  readonly connection: string;
  /** JSON. */
  readonly data: string;
  readonly createdAt: number;
  /** Its position among all events, whichever server wrote it. */
  readonly position: number;
}

/** The next event of a connection for a webhook, for the holder of the claim. */
export interface ClaimedDelivery {
  readonly webhook: string;
  /** A unique name of this claim. */
  readonly claim: string;
  /** Attempts to deliver this event, including this one. */
  readonly attempts: number;
  readonly event: EventRow;
}

/** A connection with something to deliver to a webhook. */
export interface DueStream {
  readonly webhook: string;
  readonly connection: string;
}

/** A dead event, for one webhook. */
export interface DeadDelivery {
  readonly webhook: string;
  readonly error: string | null;
  readonly event: EventRow;
}

/** Where a page of dead deliveries ended. */
export interface DeadCursor {
  readonly position: number;
  readonly webhook: string;
}

/** Events and their delivery. Each method is one atomic step. */
export interface EventStore {
  /**
   * Gives new events their positions, and queues them for webhooks. Resolves to their number; with `limit`, there may
   * be more.
   */
  publishEvents(options: { limit: number; webhooksOf: (type: EventType) => readonly string[] }): Promise<number>;
  /** Events after a position, in order. */
  listEvents(query: { after: number; limit: number }): Promise<EventRow[]>;

  /** Connections with something due for one of these webhooks, longest due first. */
  dueStreams(query: { webhooks: readonly string[]; limit: number }): Promise<DueStream[]>;
  /** Claims a connection's next event for a while; undefined if another server has it. */
  claimDelivery(stream: DueStream, claim: { claim: string; lifeMs: number }): Promise<ClaimedDelivery | undefined>;
  /** Ends the delivery of a claimed event, with `error` as a dead one. The connection's next event is due. */
  endDelivery(delivery: ClaimedDelivery, error?: string): Promise<void>;
  /** Postpones the connection's events. */
  retryDelivery(delivery: ClaimedDelivery, inMs: number): Promise<void>;
  listDeadDeliveries(query: { after: DeadCursor | undefined; limit: number }): Promise<DeadDelivery[]>;
  /** Delivers dead events again: all of a webhook's, or one. Resolves to their number. */
  replayDeliveries(query: { webhook: string; eventId?: string | undefined }): Promise<number>;

  /** Removes some old records. Resolves to their number, so that more can follow. */
  prune(limits: { eventsBefore: number; now: number; limit: number }): Promise<number>;
}

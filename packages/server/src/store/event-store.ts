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

/** Something that happened to a connection, written in the transaction in which it did. */
export interface EventRow {
  /** Stays the same however often the event is delivered. */
  readonly id: string;
  readonly type: EventType;
  /** The connection's uuid. */
  readonly connection: string;
  /** JSON. */
  readonly data: string;
  readonly createdAt: number;
  /** Its place among all events, without regard to which server wrote it. */
  readonly position: number;
}

/** The next event of a connection for a webhook, for whoever claimed it. */
export interface ClaimedDelivery {
  readonly webhook: string;
  /** Names this claim, unlike any other. */
  readonly claim: string;
  /** Attempts to deliver this event, with this one. */
  readonly attempts: number;
  readonly event: EventRow;
}

/** A connection with something to deliver to a webhook. */
export interface DueStream {
  readonly webhook: string;
  readonly connection: string;
}

/** An event that was given up on, for one webhook. */
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
   * Gives the events that have none yet their positions, and webhooks what they want of them. Resolves to how many; with
   * `limit`, there may be more.
   */
  publishEvents(options: { limit: number; webhooksOf: (type: EventType) => readonly string[] }): Promise<number>;
  /** Events behind a position, in order. */
  listEvents(query: { after: number; limit: number }): Promise<EventRow[]>;

  /** Connections with something to deliver now to one of these webhooks, the longest due first. */
  dueStreams(query: { webhooks: readonly string[]; limit: number }): Promise<DueStream[]>;
  /** Takes a connection's next event for a while; undefined when another has it. */
  claimDelivery(stream: DueStream, claim: { claim: string; lifeMs: number }): Promise<ClaimedDelivery | undefined>;
  /** Ends the delivery of a claimed event, with `error` as a dead one; the connection's next one is due. */
  endDelivery(delivery: ClaimedDelivery, error?: string): Promise<void>;
  /** Puts the connection's events off. */
  retryDelivery(delivery: ClaimedDelivery, inMs: number): Promise<void>;
  listDeadDeliveries(query: { after: DeadCursor | undefined; limit: number }): Promise<DeadDelivery[]>;
  /** Delivers dead events again: all of a webhook's, or one of them. Resolves to how many. */
  replayDeliveries(query: { webhook: string; eventId?: string | undefined }): Promise<number>;

  /** Removes some of what is older than its time; resolves to how much, so that more can follow. */
  prune(limits: { eventsBefore: number; now: number; limit: number }): Promise<number>;
}

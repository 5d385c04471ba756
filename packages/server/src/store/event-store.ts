import type { EventType } from '../event-types.ts';

/** An event about a connection, written in the transaction of its change. */
export interface EventRow {
  /** The same for every delivery of the event. */
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

/** The next event of a connection for a webhook. Only the holder of the claim delivers it. */
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
  /** Assigns positions to at most `limit` new events, and queues them for webhooks. Resolves to their number. */
  publishEvents(options: { limit: number; webhooksOf: (type: EventType) => readonly string[] }): Promise<number>;
  /** Returns events after a position, in order. */
  listEvents(query: { after: number; limit: number }): Promise<EventRow[]>;

  /** Returns the connections with a due event for one of these webhooks, longest due first. */
  dueStreams(query: { webhooks: readonly string[]; limit: number }): Promise<DueStream[]>;
  /** Claims a connection's next event for `lifeMs` milliseconds; undefined if another server has claimed it. */
  claimDelivery(stream: DueStream, claim: { claim: string; lifeMs: number }): Promise<ClaimedDelivery | undefined>;
  /** Ends the delivery of a claimed event; with `error`, the event is dead. Then the connection's next event is due. */
  endDelivery(delivery: ClaimedDelivery, error?: string): Promise<void>;
  /** Postpones the connection's events by `inMs` milliseconds. */
  retryDelivery(delivery: ClaimedDelivery, inMs: number): Promise<void>;
  listDeadDeliveries(query: { after: DeadCursor | undefined; limit: number }): Promise<DeadDelivery[]>;
  /** Queues dead events of a webhook again: all, or one. Resolves to their number. */
  replayDeliveries(query: { webhook: string; eventId?: string | undefined }): Promise<number>;

  /** Removes at most `limit` old records of each kind. Resolves to their number; 0 = none are left. */
  prune(limits: { eventsBefore: number; now: number; limit: number }): Promise<number>;
}

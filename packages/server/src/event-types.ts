/** The types of events about connections. */
export const EVENT_TYPES = [
  'connection.created',
  'connection.reconnected',
  'connection.refreshed',
  'connection.refresh_failed',
  'connection.needs_reconnect',
  'connection.recovered',
  'connection.deleted',
] as const;

/** The type of an event. */
export type EventType = (typeof EVENT_TYPES)[number];

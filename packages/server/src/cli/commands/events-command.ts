import { setTimeout as delay } from 'node:timers/promises';
import type { NangoEvent } from '@nangohq/node-client';
import { openClient, type ClientFlags } from '../client.ts';
import { formatTable, printable, type Terminal, type TextStyle } from '../terminal.ts';

/** Flags of `nango events` and `nango webhooks …`. */
export interface EventsFlags extends ClientFlags {
  readonly json?: boolean;
  readonly after?: string;
  readonly follow?: boolean;
}

const FOLLOW_MS = 1_000;

/** `nango events`: prints events. */
export async function eventsCommand(flags: EventsFlags, terminal: Terminal): Promise<void> {
  const { nango } = await openClient(flags);
  let cursor = flags.after;
  let shown = 0;
  for (;;) {
    const page = (await nango.getEvents({ cursor, limit: 200 })).returnValue;
    for (const event of page.events) terminal.out(flags.json ? JSON.stringify(event) : format(event, terminal));
    shown += page.events.length;
    cursor = page.nextCursor;
    if (page.hasMore) continue;
    if (!flags.follow) break;
    await delay(FOLLOW_MS);
  }
  if (shown === 0 && !flags.json) return terminal.err('There are no events yet.');
  terminal.err(terminal.style('gray', `Continue with: nango events --after ${cursor}`));
}

/** `nango webhooks dead`: lists dead events. */
export async function listDeadCommand(flags: EventsFlags, terminal: Terminal): Promise<void> {
  const { nango } = await openClient(flags);
  const dead = (await nango.getDeadDeliveries()).returnValue;
  if (flags.json) return terminal.out(JSON.stringify(dead, null, 2));
  if (dead.length === 0)
    return terminal.err('There are no dead events. Each event was delivered, or is still being retried.');
  const rows = dead.map(({ webhook, event, error }) =>
    [webhook, event.id, event.type, event.timestamp, error ?? ''].map(printable),
  );
  terminal.out(formatTable([['WEBHOOK', 'EVENT', 'TYPE', 'TIME', 'ERROR'], ...rows], terminal.columns));
}

/** `nango webhooks replay`: delivers dead events again. */
export async function replayCommand(
  { webhook, eventId }: { webhook: string; eventId: string | undefined },
  { flags, terminal }: { flags: EventsFlags; terminal: Terminal },
): Promise<void> {
  const { nango } = await openClient(flags);
  const replayed = (await nango.replayDeliveries(webhook, eventId)).returnValue;
  if (flags.json) terminal.out(JSON.stringify({ replayed }));
  else terminal.err(`${terminal.style('green', '✓')} ${replayed} events are delivered again.`);
}

/** Colours of events; all others are green. */
const COLORS: Readonly<Partial<Record<NangoEvent['type'], TextStyle>>> = {
  'connection.refresh_failed': 'red',
  'connection.needs_reconnect': 'red',
  'connection.deleted': 'yellow',
};

function format({ timestamp, type, data }: NangoEvent, terminal: Terminal): string {
  const why = data.error ?? data.statusReason;
  const what = `${terminal.style('gray', timestamp)}  ${terminal.style(COLORS[type] ?? 'green', type.padEnd(26))}  `;
  return `${what}${printable(`${data.integration}  ${data.userId}`)}${why === null ? '' : `  ${printable(why)}`}`;
}

import { numberText } from './parse-json.ts';

// The end of the year 9999. A later time has no ISO 8601 form, and no token lives so long.
export const MAX_TIME_MS = 253_402_300_799_000;
// Seconds until the year 5138 are below, and milliseconds since 1973 are above.
const SECONDS_BELOW = 100_000_000_000;
// A time without a zone, which JavaScript would read as local time.
const WITHOUT_ZONE = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?$/;

/**
 * A time in milliseconds since the epoch. Reads ISO 8601 or HTTP text (UTC if there is no zone), and an epoch in
 * seconds or milliseconds, as a number or text. At most the end of the year 9999. Undefined if it is not a time, or is
 * before 1970.
 */
export function parseTime(value: unknown): number | undefined {
  const time = typeof value === 'string' ? timeOfText(value.trim()) : epochMilliseconds(value);
  return time === undefined || !(time >= 0) ? undefined : Math.min(Math.round(time), MAX_TIME_MS);
}

function timeOfText(text: string): number | undefined {
  if (text.length > 100) return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return epochMilliseconds(Number(text));
  // JavaScript reads "-1" as a year.
  if (!/^\d{4}-|[a-z]/i.test(text)) return undefined;
  return Date.parse(WITHOUT_ZONE.test(text) ? `${text.replace(' ', 'T')}Z` : text);
}

function epochMilliseconds(value: unknown): number | undefined {
  const digits = numberText(value);
  if (digits === undefined) return undefined;
  const epoch = Number(digits);
  return epoch < SECONDS_BELOW ? epoch * 1000 : epoch;
}

import { numberText } from './parse-json.ts';

/** The end of the year 9999, in milliseconds since the epoch. Later times have no plain ISO 8601 form. */
export const MAX_TIME_MS = 253_402_300_799_000;
// A smaller number is in seconds (until the year 5138), and a larger one in milliseconds (since 1973).
const SECONDS_BELOW = 100_000_000_000;
// Matches a time without a zone. JavaScript would read it as local time.
const WITHOUT_ZONE = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?$/;

/**
 * Parses a time into milliseconds since the epoch, at most the end of the year 9999. Reads ISO 8601 and HTTP dates (UTC
 * if there is no zone), and an epoch in seconds or milliseconds, as a number or text. Returns undefined if the value is
 * not a time, or is before 1970.
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

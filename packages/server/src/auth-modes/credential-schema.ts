import { z } from 'zod';
import type { JsonObject } from './auth-mode.ts';

const MAX_CREDENTIAL = 100_000;

/** A credential as text: visible characters and spaces only, since it may end in a header (RFC 9110 §5.5). */
export const credentialText = z
  .string()
  .min(1, 'must not be empty')
  .max(MAX_CREDENTIAL)
  .regex(/^\P{Cc}*$/u, 'must not hold control characters');

/** Any JSON object. */
export const rawObject: z.ZodType<JsonObject> = z.record(z.string(), z.json());

/** A point in time as Date, ISO 8601 string, or epoch in seconds or milliseconds; yields epoch milliseconds. */
export const timeInput = z.union([z.number(), z.string(), z.date()]).transform((value, ctx) => {
  const time = typeof value === 'number' ? epochMilliseconds(value) : new Date(value).getTime();
  if (Number.isSafeInteger(time) && time >= 0) return time;
  ctx.addIssue({ code: 'custom', message: 'must be a Date, an ISO 8601 string or an epoch' });
  return z.NEVER;
});

/**
 * What was registered, under `raw`. A caller that passes back credentials it read (they carry `raw`) keeps that `raw`,
 * so a read-modify-write does not nest it deeper each time.
 */
export function keepRaw(given: Record<string, unknown>): JsonObject {
  const nested = rawObject.safeParse(given['raw']);
  return nested.success ? nested.data : rawObject.parse(JSON.parse(JSON.stringify(given)));
}

/** Seconds until the year 5138 are below 10^11, and milliseconds since 1973 above it. */
function epochMilliseconds(value: number): number {
  return Math.round(value < 100_000_000_000 ? value * 1000 : value);
}

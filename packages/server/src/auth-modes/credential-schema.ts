import { z } from 'zod';
import { jsonValue, parseExactJson } from '../formats/parse-json.ts';
import { MAX_TIME_MS, parseTime } from '../formats/parse-time.ts';
import type { JsonObject } from './auth-mode.ts';
import { Secret, toRevealedJson } from '../vault/secret.ts';

const MAX_CREDENTIAL = 100_000;

/** A credential as text: visible characters and spaces only, since it may end in a header (RFC 9110 §5.5). */
export const credentialText = z
  .string()
  .min(1, 'must not be empty')
  .max(MAX_CREDENTIAL)
  .regex(/^\P{Cc}*$/u, 'must not hold control characters');

/** The same as a secret. */
export const credentialSecret = credentialText.transform((text) => new Secret(text));

/** A secret text as it is stored. */
export const storedSecret = z.string().transform((text) => new Secret(text));

const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), jsonValue);

/** A JSON object as it is stored, which may hold secrets. */
export const storedRaw = jsonObject.transform((raw) => new Secret(raw));

/** A point in time as Date, ISO 8601 text, or epoch in seconds or milliseconds; yields epoch milliseconds. */
export const timeInput = z.union([z.number(), z.string(), z.date()]).transform((value, ctx) => {
  const time = parseTime(value instanceof Date ? value.getTime() : value);
  if (time !== undefined) return time;
  ctx.addIssue({ code: 'custom', message: 'must be a Date, an ISO 8601 string or an epoch' });
  return z.NEVER;
});

/** A time as it is stored, in milliseconds since the epoch; one that an earlier version stored unbounded is clamped. */
export const storedTime = z.number().transform((time) => Math.min(time, MAX_TIME_MS));

/**
 * What was registered, under `raw`. A caller that passes back credentials it read (they carry `raw`) keeps that `raw`,
 * so a read-modify-write does not nest it deeper each time.
 */
export function keepRaw(given: Record<string, unknown>): Secret<JsonObject> {
  const nested = jsonObject.safeParse(given['raw']);
  return new Secret(nested.success ? nested.data : jsonObject.parse(parseExactJson(toRevealedJson(given))));
}

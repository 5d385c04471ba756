import { z } from 'zod';
import { jsonValue, parseExactJson } from '../formats/parse-json.ts';
import { MAX_TIME_MS, parseTime } from '../formats/parse-time.ts';
import type { JsonObject } from './auth-mode.ts';
import { Secret, toRevealedJson } from '../vault/secret.ts';

const MAX_CREDENTIAL = 100_000;

/**
 * A credential as text. It has visible characters and spaces only, because it may become part of a header (RFC 9110
 * §5.5).
 */
export const credentialText = z
  .string()
  .min(1, 'must not be empty')
  .max(MAX_CREDENTIAL)
  .regex(/^\P{Cc}*$/u, 'must not hold control characters');

/** A credential as a secret. */
export const credentialSecret = credentialText.transform((text) => new Secret(text));

/** A stored text that is a secret. */
export const storedSecret = z.string().transform((text) => new Secret(text));

const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), jsonValue);

/** A stored JSON object that may hold secrets. */
export const storedRaw = jsonObject.transform((raw) => new Secret(raw));

/** A time as Date, ISO 8601 text, or epoch in seconds or milliseconds. Returns epoch milliseconds. */
export const timeInput = z.union([z.number(), z.string(), z.date()]).transform((value, ctx) => {
  const time = parseTime(value instanceof Date ? value.getTime() : value);
  if (time !== undefined) return time;
  ctx.addIssue({ code: 'custom', message: 'must be a Date, an ISO 8601 string or an epoch' });
  return z.NEVER;
});

/** A stored time in milliseconds since the epoch. Earlier versions stored times without a bound, so it is clamped. */
export const storedTime = z.number().transform((time) => Math.min(time, MAX_TIME_MS));

/**
 * Returns registered values, to be stored as `raw`. Credentials that were read from the API have a `raw` already. That
 * one is used, so that reading and writing credentials does not nest it deeper.
 */
export function keepRaw(values: Record<string, unknown>): Secret<JsonObject> {
  const nested = jsonObject.safeParse(values['raw']);
  return new Secret(nested.success ? nested.data : jsonObject.parse(parseExactJson(toRevealedJson(values))));
}

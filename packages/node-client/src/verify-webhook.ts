import { createHmac, timingSafeEqual } from 'node:crypto';
import { NangoClientError } from './client-error.ts';
import type { NangoEvent } from './types.ts';

const TOLERANCE_SECONDS = 300;

/** Headers as a web `Request` or Node's `request.headers` has them. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/**
 * Checks that a webhook came from your Nango server and was sent just now (Standard Webhooks 1.0), and returns its event.
 * `body` must be the text as it was received: JSON that was parsed and printed again has another signature.
 * Throws `invalid_signature`. An event may come twice; its `id` is the same then.
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  { secret, now = Date.now }: { secret: string; now?: () => number },
): NangoEvent {
  const text = typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
  const id = headerOf(headers, 'webhook-id');
  const timestamp = headerOf(headers, 'webhook-timestamp');
  if (!/^\d{1,12}$/.test(timestamp)) throw invalid('webhook-timestamp is missing');
  if (Math.abs(now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS)
    throw invalid('it was sent over five minutes ago, or the clocks differ');
  const expected = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${text}`).digest();
  const signed = headerOf(headers, 'webhook-signature')
    .split(' ')
    .some((signature) => isSignature(signature, expected));
  if (!signed) throw invalid('the secret is another one, or the body was changed');
  return { id, ...(JSON.parse(text) as Omit<NangoEvent, 'id'>) };
}

function isSignature(signature: string, expected: Buffer): boolean {
  const [version, base64 = ''] = signature.split(',');
  const given = Buffer.from(base64, 'base64');
  return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
}

function keyOf(secret: string): Buffer {
  const [, base64] = /^whsec_(.+)$/.exec(secret) ?? [];
  if (base64 === undefined) throw new NangoClientError('invalid_input', 'The webhook secret must begin with "whsec_".');
  return Buffer.from(base64, 'base64');
}

function headerOf(headers: WebhookHeaders, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  return typeof value === 'string' ? value : '';
}

function invalid(why: string): NangoClientError {
  return new NangoClientError('invalid_signature', `The webhook cannot be trusted: ${why}.`);
}

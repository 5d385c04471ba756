import { NangoClientError } from './client-error.ts';
import type { NangoEvent } from './types.ts';

const TOLERANCE_SECONDS = 300;
// The shortest secret that a server accepts. Text that is not base64 decodes to an empty key. Anyone can sign with it.
const MIN_KEY_BYTES = 24;

/** Headers of a web `Request`, or Node's `request.headers`. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/** The secret of a webhook. */
export interface VerifyWebhookOptions {
  /** `whsec_…`, as configured in nango-config.yaml. */
  readonly secret: string;
  /** Milliseconds since the epoch; for tests. */
  readonly now?: () => number;
}

/**
 * Checks that your Nango server sent a webhook within the last five minutes, and returns the event (Standard Webhooks
 * 1.0). `body` must be the received text, because JSON that was parsed and serialized again has a different signature.
 * Throws `invalid_signature`. An event may arrive twice, with the same `id`. Needs Node's crypto module, which Node,
 * Bun and Deno have; elsewhere use {@link verifyWebhookAsync}.
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  options: VerifyWebhookOptions,
): NangoEvent {
  const crypto = typeof process === 'undefined' ? undefined : process.getBuiltinModule?.('node:crypto');
  if (!crypto)
    throw new NangoClientError('invalid_input', 'This runtime has no node:crypto: call verifyWebhookAsync() instead.');
  const { id, text, signed, signatures, key } = parse(body, headers, options);
  const expected = crypto.createHmac('sha256', key).update(signed).digest();
  const isSigned = signatures.some(
    (signature) => signature.length === expected.length && crypto.timingSafeEqual(signature, expected),
  );
  return toEvent(id, text, isSigned);
}

/** Does the same as {@link verifyWebhook} with Web Crypto, on every runtime. */
export async function verifyWebhookAsync(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  options: VerifyWebhookOptions,
): Promise<NangoEvent> {
  const { id, text, signed, signatures, key } = parse(body, headers, options);
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const imported = await crypto.subtle.importKey('raw', key, algorithm, false, ['verify']);
  const data = new TextEncoder().encode(signed);
  const checks = await Promise.all(
    signatures.map((signature) => crypto.subtle.verify('HMAC', imported, signature, data)),
  );
  return toEvent(id, text, checks.includes(true));
}

/** Throws `invalid_signature` for faults that can be seen without a key. */
function parse(body: string | Uint8Array, headers: WebhookHeaders, { secret, now = Date.now }: VerifyWebhookOptions) {
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
  const id = headerOf(headers, 'webhook-id');
  const timestamp = headerOf(headers, 'webhook-timestamp');
  if (!/^\d{1,12}$/.test(timestamp)) throw invalidSignature('webhook-timestamp is missing');
  if (Math.abs(now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS)
    throw invalidSignature('it was sent more than five minutes ago, or the clocks differ');
  const signatures = headerOf(headers, 'webhook-signature')
    .split(' ')
    .flatMap((signature) => {
      const [version, base64 = ''] = signature.split(',');
      return version === 'v1' ? [bytesOf(base64)] : [];
    });
  return { id, text, signed: `${id}.${timestamp}.${text}`, signatures, key: keyOf(secret) };
}

function toEvent(id: string, text: string, isSigned: boolean): NangoEvent {
  if (!isSigned) throw invalidSignature('the secret differs from the server’s, or the body was changed');
  return { id, ...(JSON.parse(text) as Omit<NangoEvent, 'id'>) };
}

function keyOf(secret: string): Uint8Array<ArrayBuffer> {
  const [, base64] = /^whsec_(.+)$/.exec(secret) ?? [];
  if (base64 === undefined) throw new NangoClientError('invalid_input', 'The webhook secret must begin with "whsec_".');
  const bytes = bytesOf(base64);
  if (bytes.length >= MIN_KEY_BYTES) return bytes;
  throw new NangoClientError(
    'invalid_input',
    `The webhook secret must be "whsec_" and at least ${MIN_KEY_BYTES} bytes as base64. ` +
      'Use the secret of nango-config.yaml.',
  );
}

/** The bytes of base64 text; empty if it is not base64. */
function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}

function headerOf(headers: WebhookHeaders, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  return typeof value === 'string' ? value : '';
}

function invalidSignature(why: string): NangoClientError {
  return new NangoClientError('invalid_signature', `The webhook cannot be trusted: ${why}.`);
}

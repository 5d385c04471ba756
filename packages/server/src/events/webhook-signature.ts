import { createHmac } from 'node:crypto';

/** The signed parts of a webhook. */
export interface WebhookMessage {
  readonly id: string;
  /** When the message is sent, in seconds since the epoch. With it, a receiver can reject a replayed message. */
  readonly timestamp: number;
  readonly body: string;
}

/**
 * Returns the headers of a Standard Webhooks message (specification 1.0, "Signature scheme": HMAC-SHA256 over id,
 * timestamp and body). Each key signs, so that a receiver may have the old or the new key during a rotation.
 */
export function signWebhook(
  { id, timestamp, body }: WebhookMessage,
  keys: readonly Uint8Array[],
): Record<string, string> {
  const content = `${id}.${timestamp}.${body}`;
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(content).digest('base64')}`);
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signatures.join(' ') };
}

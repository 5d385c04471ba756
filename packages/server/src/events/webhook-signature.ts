import { createHmac } from 'node:crypto';

/** The values that are signed. */
export interface WebhookMessage {
  readonly id: string;
  /** Seconds since the epoch at which it is sent, so that a receiver can reject an old message that is sent again. */
  readonly timestamp: number;
  readonly body: string;
}

/**
 * The headers of a Standard Webhooks message (specification 1.0, "Signature scheme": HMAC-SHA256 over id, timestamp and
 * body). Each key signs, so that a receiver may have the old or the new one during a rotation.
 */
export function signWebhook(
  { id, timestamp, body }: WebhookMessage,
  keys: readonly Uint8Array[],
): Record<string, string> {
  const content = `${id}.${timestamp}.${body}`;
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(content).digest('base64')}`);
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signatures.join(' ') };
}

import type { NangoConfig } from '../config/nango-config.ts';
import { targetOf } from '../formats/request-target.ts';
import { FairLimit } from '../scheduling/fair-limit.ts';
import { backOffMs } from '../scheduling/back-off.ts';
import { messageOf } from '../errors/nango-error.ts';
import { Periodic } from '../scheduling/periodic.ts';
import type { ClaimedDelivery, DueStream } from '../store/event-store.ts';
import { parseRetryAfter } from '../upstream/retry-after.ts';
import type { EventContext } from './event-context.ts';
import { publishAll, toEvent } from './event-log.ts';
import { signWebhook } from './webhook-signature.ts';
import { isSuccess } from '../formats/http-status.ts';

const EVERY_MS = 1_000;
const TIMEOUT_MS = 15_000;
// Longer than a request may take. If a claim is older, its holder has ended.
const CLAIM_MS = 60_000;
const FIRST_RETRY_MS = 5_000;
const MAX_RETRY_MS = 3_600_000;
const GIVE_UP_MS = 3 * 86_400_000;
const MAX_RESPONSE_BYTES = 1_048_576;
const CONCURRENCY = 10;
const BATCH = 50;

type Webhook = NangoConfig['webhooks'][string];

/** The result of an attempt. `gone`: the receiver rejected the event for good (410). */
type Outcome =
  | { readonly state: 'delivered' }
  | { readonly state: 'failed' | 'gone'; readonly error: string; readonly retryAfterMs?: number | undefined };

/**
 * Posts events to webhooks (Standard Webhooks 1.0). The events of a connection are delivered one after the other.
 * Connections and webhooks are served concurrently, so a webhook that hangs does not delay others. A failed delivery is
 * tried again for three days.
 */
export class WebhookDelivery {
  readonly #context: EventContext;
  readonly #rounds: Periodic;
  readonly #limit = new FairLimit();
  readonly #runs = new Map<string, Promise<void>>();

  constructor(context: EventContext) {
    this.#context = context;
    this.#rounds = new Periodic({
      everyMs: EVERY_MS,
      random: context.random,
      task: () => this.#begin(),
      onError: (error) => context.log.warn({ err: error }, 'webhooks paused'),
    });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Starts a round soon, because there may be events to deliver. */
  nudge(): void {
    this.#rounds.nudge();
  }

  /** Resolves after the attempts in flight. */
  async stop(): Promise<void> {
    await this.#rounds.stop();
    await Promise.allSettled(this.#runs.values());
  }

  /** Publishes events, and delivers all that are due now. */
  async deliverDue(): Promise<void> {
    await this.#begin();
    await Promise.all(this.#runs.values());
  }

  async #begin(): Promise<void> {
    await publishAll(this.#context);
    for (const name of Object.keys(this.#context.config().server.webhooks)) {
      if (this.#runs.has(name)) continue;
      const run = this.#run(name)
        .catch((error: unknown) => this.#context.log.warn({ webhook: name, err: error }, 'webhook paused'))
        .finally(() => this.#runs.delete(name));
      this.#runs.set(name, run);
    }
  }

  async #run(webhook: string): Promise<void> {
    for (;;) {
      const due = await this.#context.store.dueStreams({ webhooks: [webhook], limit: BATCH });
      await Promise.all(due.map((stream) => this.#limit.run(webhook, CONCURRENCY, () => this.#deliverNext(stream))));
      if (due.length === 0 || this.#rounds.stopped) return;
    }
  }

  async #deliverNext(stream: DueStream): Promise<void> {
    const { store, config, randomToken, random, now } = this.#context;
    const webhook = config().server.webhooks[stream.webhook];
    if (!webhook || this.#rounds.stopped) return;
    const delivery = await store.claimDelivery(stream, { claim: randomToken(), lifeMs: CLAIM_MS });
    if (!delivery) return;
    const outcome = await this.#post(delivery, webhook);
    this.#report(delivery, outcome);
    if (outcome.state === 'delivered') return store.endDelivery(delivery);
    const isTooOld = now() - delivery.event.createdAt >= GIVE_UP_MS;
    if (outcome.state === 'gone' || isTooOld) return store.endDelivery(delivery, outcome.error);
    const wait = backOffMs(delivery.attempts - 1, { random, firstMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS });
    await store.retryDelivery(delivery, Math.min(Math.max(wait, outcome.retryAfterMs ?? 0), MAX_RETRY_MS));
  }

  async #post({ event }: ClaimedDelivery, { url, secret }: Webhook): Promise<Outcome> {
    const { client, now } = this.#context;
    const { id, ...content } = toEvent(event);
    const message = { id, timestamp: Math.floor(now() / 1000), body: JSON.stringify(content) };
    const signature = signWebhook(
      message,
      secret.map((key) => key.reveal()),
    );
    const headers = { 'content-type': 'application/json', 'user-agent': 'Nango', ...signature };
    try {
      const call = { method: 'POST', target: targetOf(new URL(url)), headers, body: message.body } as const;
      const { status, headers: responseHeaders } = await client.send({
        ...call,
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_RESPONSE_BYTES,
      });
      if (isSuccess(status)) return { state: 'delivered' };
      const retryAfterMs = parseRetryAfter(String(responseHeaders['retry-after'] ?? ''), now());
      return {
        state: status === 410 ? 'gone' : 'failed',
        error: `The webhook responded with status ${status}.`,
        retryAfterMs,
      };
    } catch (error) {
      return { state: 'failed', error: messageOf(error) };
    }
  }

  #report({ webhook, attempts, event }: ClaimedDelivery, outcome: Outcome): void {
    const fields = { webhook, event: event.id, type: event.type, attempts };
    if (outcome.state === 'delivered') this.#context.log.debug(fields, 'event delivered');
    else this.#context.log.warn({ ...fields, why: outcome.error }, 'event not delivered');
  }
}

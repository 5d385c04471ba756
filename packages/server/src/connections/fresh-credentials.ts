import type { BaseCredentials } from '../auth-modes/auth-mode.ts';
import { messageOf, NangoError } from '../errors/nango-error.ts';
import { OAuthResponseError } from '../oauth/oauth-error.ts';
import type { ConnectionKey } from '../store/store.ts';
import { openConnection, sealCredentials, type ConnectionContext, type OpenConnection } from './connection-context.ts';

/**
 * Hands out connections whose credentials are fresh: an access token about to expire is renewed first, with one token
 * call however many callers wait.
 *
 * New credentials are durable before anyone sees them, and written only if nobody replaced the old ones meanwhile.
 */
export class FreshCredentials {
  readonly #context: ConnectionContext;
  readonly #renewals = new Map<string, Promise<OpenConnection>>();

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  /** Throws `connection_not_found`, `needs_reconnect`, and `refresh_failed` when the token expired and cannot be renewed now. */
  async get(key: ConnectionKey): Promise<OpenConnection> {
    const connection = await this.#read(key);
    if (!this.#isDue(connection)) return this.#assertUsable(connection);
    return this.#renewOnce(key);
  }

  #renewOnce(key: ConnectionKey): Promise<OpenConnection> {
    const name = JSON.stringify([key.integration, key.userId]);
    const running = this.#renewals.get(name);
    if (running) return running;
    const renewal = this.#renewIfStillDue(key).finally(() => this.#renewals.delete(name));
    this.#renewals.set(name, renewal);
    return renewal;
  }

  /** Reads again, since a renewal may have ended between the caller's read and this one's turn. */
  async #renewIfStillDue(key: ConnectionKey): Promise<OpenConnection> {
    const connection = await this.#read(key);
    if (!this.#isDue(connection)) return this.#assertUsable(connection);
    const { integration, mode, credentials, config } = connection;
    let renewed: BaseCredentials | undefined;
    try {
      renewed = await mode.renewal?.renew({ integration, config, credentials }, this.#context);
    } catch (error) {
      return this.#afterFailure(connection, error);
    }
    return renewed ? this.#store(connection, renewed) : connection;
  }

  async #store({ row, mode }: OpenConnection, renewed: BaseCredentials): Promise<OpenConnection> {
    const { store, vault, now, log } = this.#context;
    const change = {
      sealedCredentials: sealCredentials(renewed, row, vault),
      expiresAt: mode.renewal?.expiresAt(renewed) ?? null,
      now: now(),
    };
    const written = await store.updateCredentials(row, change, row.version);
    log.info(
      { integration: row.integration, connection: row.uuid, applied: written !== undefined },
      'access token renewed',
    );
    // Without a row, a reconnect or a delete came first, and wins.
    return written ? openConnection(written, this.#context) : this.#assertUsable(await this.#read(row));
  }

  async #afterFailure(connection: OpenConnection, error: unknown): Promise<OpenConnection> {
    const { row } = connection;
    this.#context.log.warn(
      { integration: row.integration, connection: row.uuid, err: error },
      'access token could not be renewed',
    );
    if (isRevoked(error)) return this.#assertUsable(await this.#markNeedsReconnect(connection, messageOf(error)));
    // A provider that is down costs nothing while the token still works.
    if (!this.#isExpired(connection)) return connection;
    throw new NangoError('refresh_failed', `The access token expired and could not be renewed: ${messageOf(error)}`, {
      cause: error,
      retryAfter: 5,
    });
  }

  async #markNeedsReconnect(connection: OpenConnection, reason: string): Promise<OpenConnection> {
    const { store, now } = this.#context;
    const marked = await store.markNeedsReconnect(connection.row, {
      reason,
      ifVersion: connection.row.version,
      now: now(),
    });
    return marked ? { ...connection, row: marked } : this.#read(connection.row);
  }

  async #read(key: ConnectionKey): Promise<OpenConnection> {
    const row = await this.#context.store.findConnection(key);
    if (row) return openConnection(row, this.#context);
    throw new NangoError('connection_not_found', `User "${key.userId}" has no connection to "${key.integration}".`);
  }

  /** A connection known to need its user is not tried again: the provider has said no. */
  #isDue({ row, mode, integration, credentials }: OpenConnection): boolean {
    const dueAt = mode.renewal?.dueAt(credentials, integration);
    return row.status === 'active' && dueAt !== undefined && dueAt <= this.#context.now();
  }

  #isExpired({ mode, credentials }: OpenConnection): boolean {
    const expiresAt = mode.renewal?.expiresAt(credentials);
    return expiresAt !== undefined && expiresAt <= this.#context.now();
  }

  async #assertUsable(connection: OpenConnection): Promise<OpenConnection> {
    if (!this.#isExpired(connection)) return connection;
    const { row } = connection;
    const marked =
      row.status === 'active'
        ? await this.#markNeedsReconnect(connection, 'The access token expired and there is no refresh token.')
        : connection;
    throw new NangoError(
      'needs_reconnect',
      `User "${row.userId}" has to connect "${row.integration}" again: ${marked.row.statusReason ?? 'access was lost'}`,
    );
  }
}

/** Only this one error code says that the grant is gone (RFC 6749 §5.2); anything else may pass. */
function isRevoked(error: unknown): boolean {
  return error instanceof OAuthResponseError && error.error === 'invalid_grant';
}

import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionKey, ListConnections } from '../store/store.ts';
import {
  assertConfig,
  integrationNamed,
  modeContext,
  openConnection,
  throwNotFound,
  type ConnectionContext,
} from './connection-context.ts';
import { storableTextSchema } from './connection-input.ts';
import { createCursor, parseCursor } from './cursor.ts';
import { toPublicConnection, type PublicConnection } from './public-connection.ts';

/** A page of connections; `nextCursor` is null on the last. */
export interface ConnectionPage {
  readonly connections: PublicConnection[];
  readonly nextCursor: string | null;
}

/** Lists, changes and deletes connections. */
export class Connections {
  readonly #context: ConnectionContext;

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  /** Replaces the additionalConfig. Throws `invalid_request` and `connection_not_found`. */
  async updateConfig(
    key: ConnectionKey,
    additionalConfig: PublicConnection['additionalConfig'],
  ): Promise<PublicConnection> {
    assertConfig(integrationNamed(key.integration, this.#context), additionalConfig);
    const row = await this.#context.store.updateConfig(key, JSON.stringify(additionalConfig), this.#context.now());
    return toPublicConnection(row ?? throwNotFound(key));
  }

  /** Lists connections in pages. Throws `invalid_request` for an invalid cursor. */
  async list(query: {
    userId?: string | undefined;
    integration?: string | undefined;
    cursor?: string | undefined;
    limit: number;
  }): Promise<ConnectionPage> {
    const { cursor, limit, ...filter } = query;
    const listing: ListConnections = {
      ...filter,
      limit: limit + 1,
      after: cursor === undefined ? undefined : keyOf(parseCursor(cursor, cursorSchema)),
    };
    const rows = await this.#context.store.listConnections(listing);
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return {
      connections: page.map(toPublicConnection),
      nextCursor: last ? createCursor([last.integration, last.userId]) : null,
    };
  }

  /**
   * Deletes a connection. With `revoke` the grant is revoked first. If the provider refuses, or has no revocation
   * endpoint, the connection stays, so the caller can decide.
   */
  async delete(key: ConnectionKey, { revoke = false }: { revoke?: boolean } = {}): Promise<void> {
    if (revoke) await this.#revoke(key);
    if (!(await this.#context.store.deleteConnection(key, this.#context.now()))) throwNotFound(key);
  }

  async #revoke(key: ConnectionKey): Promise<void> {
    const row = await this.#context.store.findConnection(key);
    const { integration, mode, credentials, config } = openConnection(row ?? throwNotFound(key), this.#context);
    if (!mode.revocation?.applies(integration)) {
      throw new NangoError(
        'unsupported_auth_mode',
        `"${key.integration}" has no revocation endpoint (auth.revocation_url). ` +
          'Delete the connection without revoking.',
      );
    }
    await mode.revocation.revoke({ integration, config, credentials }, modeContext(integration, this.#context));
  }
}

const cursorSchema = z.tuple([storableTextSchema, storableTextSchema]);

function keyOf([integration, userId]: [string, string]): ConnectionKey {
  return { integration, userId };
}

import { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import { DEFAULT_ACCOUNT, type ConnectionKey, type ConnectionRow, type ListConnections } from '../store/store.ts';
import {
  assertConfig,
  integrationNamed,
  modeContext,
  openConnection,
  type ConnectionContext,
} from './connection-context.ts';
import { findReferenced, throwNotFound, type ConnectionReference } from './connection-reference.ts';
import { storableTextSchema, type Tags } from './connection-input.ts';
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
    reference: ConnectionReference,
    additionalConfig: PublicConnection['additionalConfig'],
  ): Promise<PublicConnection> {
    const { store, now } = this.#context;
    const connection = await findReferenced(reference, this.#context);
    assertConfig(integrationNamed(connection.integration, this.#context), additionalConfig);
    const row = await store.updateConfig(connection, JSON.stringify(additionalConfig), now());
    return toPublicConnection(row ?? (await throwNotFound(reference, this.#context)), this.#context);
  }

  /** Replaces the tags. Throws `connection_not_found`. */
  async updateTags(reference: ConnectionReference, tags: Tags): Promise<PublicConnection> {
    const { store, now } = this.#context;
    const connection = await findReferenced(reference, this.#context);
    const row = await store.updateTags(connection, JSON.stringify(tags), now());
    return toPublicConnection(row ?? (await throwNotFound(reference, this.#context)), this.#context);
  }

  /** Lists connections in pages. Throws `invalid_request` for an invalid cursor. */
  async list(query: Omit<ListConnections, 'after'> & { cursor?: string | undefined }): Promise<ConnectionPage> {
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
      connections: page.map((row) => toPublicConnection(row, this.#context)),
      nextCursor: last ? createCursor([last.integration, last.userId, last.account]) : null,
    };
  }

  /**
   * Deletes a connection. With `revoke` the grant is revoked first. If the provider refuses, or has no revocation
   * endpoint, the connection stays, so the caller can decide.
   */
  async delete(reference: ConnectionReference, { revoke = false }: { revoke?: boolean } = {}): Promise<void> {
    const { store, now } = this.#context;
    const row = await findReferenced(reference, this.#context);
    if (revoke) await this.#revoke(row);
    if (!(await store.deleteConnection(row, now()))) await throwNotFound(reference, this.#context);
  }

  async #revoke(row: ConnectionRow): Promise<void> {
    const { integration, mode, credentials, config } = openConnection(row, this.#context);
    if (!mode.revocation?.applies(integration)) {
      throw new NangoError(
        'unsupported_auth_mode',
        `"${row.integration}" has no revocation endpoint (auth.revocation_url). ` +
          'Delete the connection without revoking.',
      );
    }
    await mode.revocation.revoke({ integration, config, credentials }, modeContext(integration, this.#context));
  }
}

// Cursors of earlier releases name no account.
const cursorSchema = z.tuple([storableTextSchema, storableTextSchema, storableTextSchema.default(DEFAULT_ACCOUNT)]);

function keyOf([integration, userId, account]: z.output<typeof cursorSchema>): ConnectionKey {
  return { integration, userId, account };
}

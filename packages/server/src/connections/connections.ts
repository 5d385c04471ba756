import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { AdditionalConfig, BaseCredentials, JsonObject } from '../auth-modes/auth-mode.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionKey, ListConnections } from '../store/store.ts';
import type { ConnectionCache } from '../refresh/connection-cache.ts';
import {
  assertConfig,
  authModeOf,
  configOf,
  integrationNamed,
  modeContext,
  openConnection,
  parseConfig,
  sealCredentials,
  type ConnectionContext,
  type OpenConnection,
} from './connection-context.ts';
import { storableTextSchema } from './connection-input.ts';
import { createCursor, parseCursor } from './cursor.ts';
import { FreshCredentials } from '../refresh/fresh-credentials.ts';
import { toPublicConnection, type PublicConnection } from './public-connection.ts';
import { scheduleOf } from '../refresh/refresh-schedule.ts';
import { parseCredentials } from '../connect/parse-credentials.ts';

/** A page of connections; `nextCursor` is null on the last. */
export interface ConnectionPage {
  readonly connections: PublicConnection[];
  readonly nextCursor: string | null;
}

/** A connection with the credentials the SDKs return. */
export interface ConnectionWithCredentials {
  readonly connection: PublicConnection;
  readonly credentials: { readonly raw: JsonObject } & Record<string, unknown>;
}

/** Registers, reads, changes and deletes connections. */
export class Connections {
  readonly #context: ConnectionContext;
  readonly fresh: FreshCredentials;

  constructor(context: ConnectionContext, cache: ConnectionCache) {
    this.#context = context;
    this.fresh = new FreshCredentials(context, cache);
  }

  /** Throws `connection_exists` and stores nothing when the pair has a connection. */
  async register(
    key: ConnectionKey,
    credentials: unknown,
    additionalConfig: PublicConnection['additionalConfig'] = {},
  ): Promise<PublicConnection> {
    assertConfig(integrationNamed(key.integration, this.#context), additionalConfig);
    const sealed = await this.#seal(key, credentials, additionalConfig);
    const row = await this.#context.store.insertConnection({
      ...key,
      ...sealed,
      uuid: randomUUID(),
      additionalConfig: JSON.stringify(additionalConfig),
    });
    if (row) return toPublicConnection(row);
    throw new NangoError(
      'connection_exists',
      `User "${key.userId}" already has a connection to "${key.integration}". Use updateConnectionCredentials to replace its credentials.`,
    );
  }

  async updateCredentials(key: ConnectionKey, credentials: unknown): Promise<PublicConnection> {
    const row = (await this.#context.store.findConnection(key)) ?? notFound(key);
    const change = await this.#seal(key, credentials, parseConfig(row.additionalConfig));
    return toPublicConnection((await this.#context.store.updateCredentials(key, change)) ?? notFound(key));
  }

  async updateConfig(
    key: ConnectionKey,
    additionalConfig: PublicConnection['additionalConfig'],
  ): Promise<PublicConnection> {
    assertConfig(integrationNamed(key.integration, this.#context), additionalConfig);
    const row = await this.#context.store.updateConfig(key, JSON.stringify(additionalConfig), this.#context.now());
    return toPublicConnection(row ?? notFound(key));
  }

  /** The connection with fresh credentials; see {@link FreshCredentials.get} for its errors. */
  async get(key: ConnectionKey): Promise<ConnectionWithCredentials> {
    return toCredentialsAnswer(await this.fresh.get(key));
  }

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
   * Deletes a connection; with `revoke` the provider is told first. When it refuses, or has no revocation endpoint, the
   * connection stays, so that the caller can decide.
   */
  async delete(key: ConnectionKey, { revoke = false }: { revoke?: boolean } = {}): Promise<void> {
    if (revoke) await this.#revoke(key);
    if (!(await this.#context.store.deleteConnection(key, this.#context.now()))) notFound(key);
  }

  async #revoke(key: ConnectionKey): Promise<void> {
    const row = await this.#context.store.findConnection(key);
    const { integration, mode, credentials, config } = openConnection(row ?? notFound(key), this.#context);
    if (!mode.revocation?.applies(integration)) {
      throw new NangoError(
        'unsupported_auth_mode',
        `"${key.integration}" has no revocation endpoint (auth.revocation_url); delete the connection without revoking.`,
      );
    }
    await mode.revocation.revoke({ integration, config, credentials }, modeContext(integration, this.#context));
  }

  async #seal(key: ConnectionKey, given: unknown, additionalConfig: AdditionalConfig) {
    const { vault, now } = this.#context;
    const integration = integrationNamed(key.integration, this.#context);
    const config = configOf(integration, additionalConfig);
    const from = 'application' as const;
    const credentials = await parseCredentials({ integration, credentials: given, config, from }, this.#context);
    const mode = authModeOf(integration);
    const schedule = scheduleOf(credentials, { mode, integration }, this.#context);
    return {
      authMode: mode.name,
      sealedCredentials: sealCredentials(credentials, key, vault),
      ...schedule,
      now: now(),
    };
  }
}

/** A connection with its credentials as the API answers it; `raw` is always there. */
export function toCredentialsAnswer({ row, credentials }: OpenConnection): ConnectionWithCredentials {
  return {
    connection: toPublicConnection(row),
    credentials: { ...toPublicCredentials(credentials), raw: credentials.raw },
  };
}

/** Credentials as the SDKs return them: times as ISO 8601. */
function toPublicCredentials(credentials: BaseCredentials): Record<string, unknown> {
  const { grant: _, ...rest } = credentials;
  const members = Object.entries(rest).map(([name, value]) => {
    const isTime = /(^|_)expires_at$/.test(name) && typeof value === 'number';
    return [name, isTime ? new Date(value).toISOString() : value] as const;
  });
  return Object.fromEntries(members);
}

function notFound({ integration, userId }: ConnectionKey): never {
  throw new NangoError('connection_not_found', `User "${userId}" has no connection to "${integration}".`);
}

const cursorSchema = z.tuple([storableTextSchema, storableTextSchema]);

function keyOf([integration, userId]: [string, string]): ConnectionKey {
  return { integration, userId };
}

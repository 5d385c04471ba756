import type { Generated, Kysely, RawBuilder } from 'kysely';
import type { ChangeListener, ConnectionWatch } from './connection-watch.ts';
import type { EventType } from '../event-types.ts';

/** The tables, for Kysely. */
export interface Database {
  nango_meta: { name: string; value: Uint8Array };
  nango_migrations: { name: string; applied_at: number };
  nango_expansions: { name: string; applied_at: number };
  connections: {
    uuid: string;
    integration: string;
    user_id: string;
    account: string;
    auth_mode: string;
    sealed_credentials: Uint8Array;
    additional_config: string;
    tags: string;
    requested_scopes: string | null;
    granted_scopes: string | null;
    identity_user: string | null;
    identity_workspace: string | null;
    identity_name: string | null;
    oauth_client_id: string | null;
    status: 'active' | 'needs_reconnect';
    status_reason: string | null;
    expires_at: number | null;
    version: number;
    due_at: number | null;
    lease_holder: string | null;
    lease_expires_at: number | null;
    retry_at: number | null;
    refresh_failures: number;
    refresh_error: string | null;
    answer_lost: number;
    refused_version: number | null;
    refused_count: number | null;
    refused_at: number | null;
    created_at: number;
    updated_at: number;
  };
  connect_attempts: {
    attempt_hash: string;
    integration: string;
    user_id: string;
    account: string;
    origin: string | null;
    nonce_hash: string | null;
    state_hash: string | null;
    browser_hash: string | null;
    sealed_secrets: Uint8Array | null;
    additional_config: string | null;
    tags: string | null;
    options: string | null;
    session_hash: string | null;
    code_hash: string | null;
    status: 'created' | 'authorizing' | 'completing' | 'confirming' | 'succeeded' | 'failed';
    error_type: string | null;
    error_message: string | null;
    created_at: number;
    expires_at: number;
  };
  connect_sessions: {
    token_hash: string;
    user_id: string;
    account: string;
    tags: string | null;
    integrations: string | null;
    origin: string | null;
    options: string | null;
    link_hash: string | null;
    token_expires_at: number | null;
    used_at: number | null;
    sealed_client: Uint8Array | null;
    expires_at: number;
  };
  connection_tags: {
    name: string;
    value: string;
    integration: string;
    user_id: string;
    account: string;
    uuid: string;
  };
  client_registrations: {
    integration: string;
    issuer: string;
    redirect_uri: string;
    sealed_client: Uint8Array;
    expires_at: number | null;
  };
  events: {
    ordinal: Generated<number>;
    id: string;
    type: EventType;
    connection: string;
    data: string;
    created_at: number;
    position: number | null;
  };
  servers: {
    id: string;
    name: string;
    key_ids: string;
    seen_at: number;
    host: string | null;
    version: string | null;
    pid: number | null;
    knows: string | null;
  };
  event_counter: { name: string; value: number };
  webhook_deliveries: {
    webhook: string;
    position: number;
    connection: string;
    state: 'pending' | 'dead';
    error: string | null;
  };
  webhook_streams: {
    webhook: string;
    connection: string;
    next_at: number;
    attempts: number;
    claim: string | null;
  };
}

/** The differences between the two databases, as capabilities. */
export interface DatabaseDialect {
  /** Where the data is, for people; without credentials. */
  readonly description: string;
  /** Whether it is a file of this machine. */
  readonly isEmbedded: boolean;
  /** Compares texts by their UTF-8 bytes: a clause behind a column. Empty if the database always does. */
  readonly byteOrder: string;
  /** The column type of byte strings. */
  readonly bytesType: 'blob' | 'bytea';
  /** The column type of a primary key that the database assigns by counting. */
  readonly identityType: string;
  /** Returns an expression: whether the database has a table of that name. */
  readonly hasTable: (name: string) => RawBuilder<unknown>;
  /** Whether `for update` prevents others from changing a row. */
  readonly locksReads: boolean;
  /** Notifies other servers, at the commit, that the connection of this uuid changed. Absent if no server needs it. */
  readonly announce?: (uuid: string) => RawBuilder<unknown>;
  /** Finds servers of an earlier release, which have no record. Absent if the database cannot find them. */
  readonly earlierServers?: () => RawBuilder<{ name: string }>;
  /** Begins to listen for changes by others. */
  readonly watch: (listener: ChangeListener) => ConnectionWatch;
  /** Milliseconds since the epoch by the clock of the database, so that servers with different clocks agree. */
  readonly now: () => RawBuilder<number>;
  /** Statements that begin a transaction which excludes all other servers. */
  readonly beginExclusive: readonly string[];
  /** Whether an error is the driver's: the database cannot be reached, or it rejected the statement. */
  readonly isDriverError: (error: unknown) => boolean;
  /** Whether an error says that another process holds a lock. Then the statement had no effect. */
  readonly isLocked?: (error: unknown) => boolean;
}

/** One step of the schema. Names sort in the order of execution. A released step is never changed. */
export interface Migration {
  readonly name: string;
  up(db: Kysely<Database>, dialect: DatabaseDialect): Promise<void>;
}

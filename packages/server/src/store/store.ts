import type { ChangeListener, ConnectionWatch } from './connection-watch.ts';
import type { EventStore } from './event-store.ts';

/** The state of a connection. `needs_reconnect`: the user has to connect again. */
export type ConnectionStatus = 'active' | 'needs_reconnect';

/** The key of a connection: one of a user's accounts at an Integration. */
export interface ConnectionKey {
  readonly integration: string;
  readonly userId: string;
  /** A name that the application chooses, to tell the accounts of a user apart. */
  readonly account: string;
}

/** The account of a connection for which the application named none. */
export const DEFAULT_ACCOUNT = 'default';

/**
 * The key of a connection as one text. Two keys never have the same text, whatever characters they contain. Earlier
 * releases sealed credentials for it, so the form of a `default` account must not change.
 */
export function connectionKeyText({ integration, userId, account }: ConnectionKey): string {
  return JSON.stringify(account === DEFAULT_ACCOUNT ? [integration, userId] : [integration, userId, account]);
}

/** One stored connection. Statements name the key too, so that a database can distribute connections by user. */
export interface ConnectionIdentity extends ConnectionKey {
  /** Stays the same after a reconnect. */
  readonly id: string;
}

/** The account at the provider that granted access, as the provider names it. */
export interface ProviderIdentity {
  /** The provider's id of the user. */
  readonly user: string;
  /** The provider's id of the workspace, team or company. With some providers, a user id is unique only within it. */
  readonly workspace: string | null;
  /** For people: an e-mail address or a login. */
  readonly name: string | null;
}

/** What a provider granted, and to whom. Null = unknown. */
export interface ProviderGrant {
  /** JSON list: the scopes that were asked for. */
  readonly requestedScopes: string | null;
  /** JSON list: the scopes that the provider says it granted. */
  readonly grantedScopes: string | null;
  readonly identity: ProviderIdentity | null;
}

/** The grant of credentials of which only the application knows where they are from. */
export const UNKNOWN_GRANT: ProviderGrant = { requestedScopes: null, grantedScopes: null, identity: null };

/** A stored connection. Times are milliseconds since the epoch. */
export interface ConnectionRow extends ConnectionIdentity, ProviderGrant {
  readonly authMode: string;
  readonly sealedCredentials: Uint8Array;
  /** JSON. */
  readonly additionalConfig: string;
  /** JSON: text by name. */
  readonly tags: string;
  /** The id of the customer's own OAuth app; null = the Integration's client. */
  readonly oauthClientId: string | null;
  readonly status: ConnectionStatus;
  readonly statusReason: string | null;
  /** When the access token expires; null = unknown or never. It is not sealed, so that due connections can be found. */
  readonly expiresAt: number | null;
  /** Grows with each change of the credentials. A writer that read an older version fails. */
  readonly version: number;
  /** When the background refreshes the credentials; null = never. */
  readonly dueAt: number | null;
  readonly refresh: RefreshState;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The state of refreshing a connection. Durations are from now, by the database's clock, which all servers share. */
export interface RefreshState {
  /** Milliseconds until the current lease ends; null = there is no lease. */
  readonly leasedMs: number | null;
  /** Milliseconds until the next refresh may be tried; null = now. */
  readonly retryInMs: number | null;
  /** Failed refreshes since the last success. */
  readonly failures: number;
  /** The error of the last refresh; null = it succeeded. */
  readonly lastError: string | null;
  /** Whether a response with rotated tokens may have been lost. */
  readonly responseLost: boolean;
  /** How often the provider rejected these credentials without naming a reason. */
  readonly refusals: number;
  /** Milliseconds since the first such rejection; null = there was none. */
  readonly refusedForMs: number | null;
}

/** A request for the lease to refresh a connection. */
export interface RefreshLease {
  /** A unique name of this refresh. */
  readonly holder: string;
  readonly lifeMs: number;
  /** The version that was read. */
  readonly version: number;
}

/** How a refresh failed. */
export interface RefreshFailure {
  readonly holder: string;
  readonly retryInMs: number;
  readonly error: string;
  /** Whether the provider may have responded, although no response arrived. */
  readonly responseLost: boolean;
  /** Whether the provider rejected the refresh without naming a reason. */
  readonly refused: boolean;
  readonly now: number;
}

/** A server process, and the ids of its encryption keys. */
export interface ServerRecord {
  readonly id: string;
  /** Where it runs, for people. */
  readonly name: string;
  readonly keyIds: readonly string[];
  readonly place: ServerPlace;
}

/** A process: its machine, its process id, and its release. */
export interface ServerPlace {
  readonly host: string;
  readonly pid: number;
  readonly version: string;
}

/** A running server. */
export interface LiveServer {
  readonly name: string;
  /** The ids of its encryption keys; undefined for a server of an earlier release. */
  readonly keyIds: readonly string[] | undefined;
  /** Undefined for a server of an earlier release. */
  readonly place: ServerPlace | undefined;
  /** Whether it can work with the database when the migration is finished. */
  readonly isCurrent: boolean;
}

/**
 * Empty: no server has used this database. Outdated: migrations of this version are missing. Unfinished: servers of the
 * release before can use it too, so it holds only `default` accounts.
 */
export type SchemaState = 'empty' | 'outdated' | 'unfinished' | 'current';

/** A connection to store. */
export interface NewConnection extends ConnectionKey {
  /** The id, unless the connection exists: a reconnect keeps its id. */
  readonly id: string;
  readonly authMode: string;
  /** Seals the credentials for the connection of this id. */
  readonly seal: (id: string) => Uint8Array;
  /** JSON; null = none, or on a reconnect the stored one. */
  readonly additionalConfig: string | null;
  /** JSON; null = none, or on a reconnect the stored ones. */
  readonly tags: string | null;
  /** Absent = unknown. */
  readonly grant?: ProviderGrant;
  /** The id of the customer's own OAuth app; absent = the Integration's client. */
  readonly oauthClientId?: string | undefined;
  /** The id of the connection that it has to replace. Absent = it may replace one, or be a new one. */
  readonly replaces?: string | undefined;
  readonly expiresAt: number | null;
  /** When the background refreshes the credentials; null = never. */
  readonly dueAt: number | null;
  readonly now: number;
}

/** A connection from another store or system. */
export type ImportedConnection = Pick<
  ConnectionRow,
  | 'id'
  | 'integration'
  | 'userId'
  | 'account'
  | 'authMode'
  | 'additionalConfig'
  | 'tags'
  | 'status'
  | 'statusReason'
  | 'expiresAt'
  | 'dueAt'
  | 'createdAt'
  | 'updatedAt'
> &
  Pick<NewConnection, 'seal' | 'grant' | 'oauthClientId'>;

/** New credentials of a connection. */
export interface CredentialsChange {
  /** What changes of the grant. */
  readonly grant?: Partial<ProviderGrant>;
  /** The id of another OAuth app of the customer; absent = it stays. */
  readonly oauthClientId?: string;
  readonly sealedCredentials: Uint8Array;
  readonly expiresAt: number | null;
  /** When the background refreshes the credentials; null = never. */
  readonly dueAt: number | null;
  readonly now: number;
}

/** Permits the holder of a lease to write refreshed credentials, if their version is still the one that was read. */
export interface RefreshedBy {
  readonly version: number;
  readonly holder: string;
}

/** The page of connections that `listConnections` returns. */
export interface ListConnections {
  readonly userId?: string | undefined;
  readonly integration?: string | undefined;
  readonly account?: string | undefined;
  readonly status?: ConnectionStatus | undefined;
  /** Connections that have all of these. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Not together with `userId`. */
  readonly userIdPrefix?: string | undefined;
  /** The provider's id of the user. */
  readonly identity?: string | undefined;
  /** The last key of the previous page. */
  readonly after?: ConnectionKey | undefined;
  readonly limit: number;
}

/** Decides whether a connection of one identity may be replaced by one of the identity that connected now. */
export type MayReplace = (earlier: ProviderIdentity | null) => boolean;

/** One attempt of a user to connect, from `connect()` to the callback. Only hashes of tokens are stored. */
export interface ConnectAttemptRow extends ConnectionKey {
  readonly attemptHash: string;
  /** The origin of the page that began the attempt and receives the result; null if no page did. */
  readonly origin: string | null;
  readonly nonceHash: string | null;
  readonly stateHash: string | null;
  readonly browserHash: string | null;
  readonly sealedSecrets: Uint8Array | null;
  /** JSON; null = there is none. */
  readonly additionalConfig: string | null;
  /** JSON; null = the back end set none. */
  readonly tags: string | null;
  /** JSON of what the back end decided beside; null = nothing. */
  readonly options: string | null;
  /** The token hash of the session whose link began the attempt; null = no link did. */
  readonly sessionHash: string | null;
  readonly status: 'created' | 'authorizing' | 'completing' | 'confirming' | 'succeeded' | 'failed';
  readonly errorType: string | null;
  readonly errorMessage: string | null;
  readonly expiresAt: number;
}

/** An attempt to store. */
export interface NewConnectAttempt extends ConnectionKey {
  readonly attemptHash: string;
  readonly origin: string | null;
  /** The hash of the nonce that the page has to prove; null = none is needed. */
  readonly nonceHash: string | null;
  readonly additionalConfig: string | null;
  readonly tags: string | null;
  readonly options: string | null;
  readonly sessionHash: string | null;
  /** What is known before the authorization begins; null = nothing. */
  readonly sealedSecrets: Uint8Array | null;
  readonly now: number;
  readonly expiresAt: number;
}

/** The values of an attempt whose authorization begins. */
export interface BeginAttempt {
  readonly stateHash: string;
  readonly browserHash: string;
  readonly sealedSecrets: Uint8Array;
  readonly now: number;
}

/** A back end's permission for one user to connect. */
export interface ConnectSessionRow {
  readonly tokenHash: string;
  readonly userId: string;
  /** The only account that it permits. */
  readonly account: string;
  /** JSON; null = none. */
  readonly tags: string | null;
  /** JSON list, or null = any. */
  readonly integrations: string | null;
  readonly origin: string | null;
  /** JSON of what the back end decided beside; null = nothing. */
  readonly options: string | null;
  /** The customer's own OAuth app; null = none. */
  readonly sealedClient: Uint8Array | null;
  /** The hash of the link to connect; null = the session has no link. */
  readonly linkHash: string | null;
  /** When the token expires; null = at `expiresAt`. */
  readonly tokenExpiresAt: number | null;
  /** When token and link have expired. */
  readonly expiresAt: number;
  /** When a connection was made by the link; null = never. */
  readonly usedAt: number | null;
}

/** A client that an authorization server registered for us, for one Integration and redirect URI. */
export interface ClientRegistrationRow {
  readonly integration: string;
  readonly issuer: string;
  readonly redirectUri: string;
  readonly sealedClient: Uint8Array;
  /** When its secret expires; null = never. */
  readonly expiresAt: number | null;
}

/** A sealed value, and the key of its row. */
export interface SealedValue {
  readonly table: SealedTable;
  readonly key: readonly string[];
  /** Of a connection: its Integration, user and account. Empty for other tables. */
  readonly names: readonly string[];
  readonly sealed: Uint8Array;
}

/** Tables with one sealed column each. */
export type SealedTable =
  'connections' | 'connect_attempts' | 'connect_sessions' | 'client_registrations' | 'nango_meta';

type ClientRegistrationKey = Pick<ClientRegistrationRow, 'integration' | 'issuer' | 'redirectUri'>;

/**
 * Everything that the server stores. Each method is one atomic step. When its promise resolves, the result is durable.
 * Methods reject with `store_unavailable` if the database cannot be reached or written.
 */
export interface Store extends EventStore {
  /** Where the data is, for people; without credentials. */
  readonly description: string;
  /** Whether it is a file, which only servers of one machine and one release can share. */
  readonly isEmbedded: boolean;
  /**
   * Brings the schema up to date, except for what servers of the release before cannot work with. Several servers may
   * start at once. Throws `schema_too_new`.
   */
  migrate(): Promise<void>;
  /**
   * Does the rest of the migration. If servers with a record of at most `withinMs` are of an earlier release, it
   * changes nothing and resolves to these. It does not count servers of which `isGone` knows that they ended.
   */
  finishMigration(withinMs: number, isGone: (server: LiveServer) => boolean): Promise<LiveServer[]>;
  /** Whether the migration is finished, so that no server of the release before can use the database. */
  isMigrationFinished(): Promise<boolean>;
  /** Whether the data can be read as it is. Writes nothing. Throws `schema_too_new`. */
  schemaState(): Promise<SchemaState>;
  ping(): Promise<void>;
  close(): Promise<void>;
  /** Reports every change of a connection, by this server or another. */
  watchConnections(listener: ChangeListener): ConnectionWatch;

  /** Returns the value that proves the encryption key. The first caller's candidate is stored. */
  keyCheck(candidate: Uint8Array): Promise<Uint8Array>;
  /** Returns the stored value that proves the key; undefined = no server has used this database. */
  storedKeyCheck(): Promise<Uint8Array | undefined>;

  /** Undefined if the user already has this account connected. */
  insertConnection(connection: NewConnection): Promise<ConnectionRow | undefined>;
  findConnection(key: ConnectionKey): Promise<ConnectionRow | undefined>;
  findConnectionById(id: string): Promise<ConnectionRow | undefined>;
  listConnections(query: ListConnections): Promise<ConnectionRow[]>;
  /** Replaces the tags, which are JSON. */
  updateTags(connection: ConnectionIdentity, tags: string, now: number): Promise<ConnectionRow | undefined>;
  updateConfig(
    connection: ConnectionIdentity,
    additionalConfig: string,
    now: number,
  ): Promise<ConnectionRow | undefined>;
  /** Replaces the credentials, makes the connection active and ends any lease. With `by`, only if it still may. */
  updateCredentials(
    connection: ConnectionIdentity,
    change: CredentialsChange,
    by?: RefreshedBy,
  ): Promise<ConnectionRow | undefined>;
  /**
   * Marks an active connection, if its credentials are still of `by.version` and `by.holder` holds the lease. If
   * `by.holder` is null, there must be no lease.
   */
  markNeedsReconnect(
    connection: ConnectionIdentity,
    change: { reason: string; by: { version: number; holder: string | null }; now: number },
  ): Promise<ConnectionRow | undefined>;
  /** Makes a connection active again if it was marked for this `reason` and its credentials are still of `version`. */
  reactivate(
    connection: ConnectionIdentity,
    change: { reason: string; version: number; now: number },
  ): Promise<ConnectionRow | undefined>;
  /**
   * Takes the lease of an active connection. Resolves to undefined if another refresh holds it, or the version differs.
   * Taking over an expired lease records that a response may have been lost.
   */
  leaseRefresh(connection: ConnectionIdentity, lease: RefreshLease): Promise<ConnectionRow | undefined>;
  /** False if the lease is no longer this holder's. */
  extendLease(connection: ConnectionIdentity, lease: Pick<RefreshLease, 'holder' | 'lifeMs'>): Promise<boolean>;
  /** Ends a lease whose refresh failed. Does nothing if it is no longer this holder's. */
  failRefresh(connection: ConnectionIdentity, failure: RefreshFailure): Promise<void>;
  /** Due connections that nobody refreshes, longest due first; none of the Integrations in `except`. */
  dueConnections(query: { now: number; limit: number; except: readonly string[] }): Promise<ConnectionRow[]>;
  /** Postpones a connection that cannot be refreshed. */
  postponeRefresh(connection: ConnectionIdentity, until: number): Promise<void>;
  deleteConnection(connection: ConnectionIdentity, now: number): Promise<boolean>;

  /** Stores an attempt. Removes the user's oldest attempts if there are more than twenty. */
  insertAttempt(attempt: NewConnectAttempt): Promise<void>;
  findAttempt(attemptHash: string): Promise<ConnectAttemptRow | undefined>;
  findAttemptByState(stateHash: string): Promise<ConnectAttemptRow | undefined>;
  /** Changes an attempt from `created` to `authorizing`; undefined if it has another status or has expired. */
  beginAttempt(attemptHash: string, begin: BeginAttempt): Promise<ConnectAttemptRow | undefined>;
  /** Changes an attempt from `authorizing` to `completing`; undefined for all callers but the first. */
  takeAttempt(stateHash: string, now: number): Promise<ConnectAttemptRow | undefined>;
  /** Changes an attempt from `completing` to `confirming`, with what is to be stored when it is confirmed. */
  awaitConfirmation(attemptHash: string, sealedSecrets: Uint8Array): Promise<void>;
  /** Changes an attempt from `confirming` to `completing`, and removes its code; undefined for all but the first. */
  takeConfirmation(codeHash: string, now: number): Promise<ConnectAttemptRow | undefined>;
  /** Gives an ended attempt a code, and a new time at which both expire. */
  issueCode(attemptHash: string, code: { codeHash: string; expiresAt: number }): Promise<void>;
  /** Removes the code of an ended attempt. Undefined for all callers but the first, and if it has expired. */
  redeemCode(attemptHash: string, codeHash: string, now: number): Promise<ConnectAttemptRow | undefined>;
  failAttempt(attemptHash: string, error: { type: string; message: string }): Promise<void>;
  /**
   * Stores the connection, or replaces the credentials of the existing one, and ends the attempt. Resolves to
   * undefined, and changes nothing, if the existing one may not be replaced. Throws `connection_not_found` if the
   * connection that it has to replace is gone, and `invalid_link` if the attempt's link made another connection.
   */
  completeAttempt(
    attemptHash: string,
    connection: NewConnection,
    mayReplace?: MayReplace,
  ): Promise<ConnectionRow | undefined>;

  insertSession(session: Omit<ConnectSessionRow, 'usedAt'>): Promise<void>;
  /** Undefined if the token is unknown or has expired. */
  findSession(tokenHash: string, now: number): Promise<ConnectSessionRow | undefined>;
  /** Returns the session of a link, which may be used or expired. It is kept for an hour after it expired. */
  findSessionByLink(linkHash: string): Promise<ConnectSessionRow | undefined>;

  /** Returns a registration; undefined if there is none, or its secret has expired. */
  findClientRegistration(key: ClientRegistrationKey, now: number): Promise<ClientRegistrationRow | undefined>;
  /** Stores a registration unless a valid one exists. Resolves to the one that is stored. */
  keepClientRegistration(registration: ClientRegistrationRow, now: number): Promise<ClientRegistrationRow>;
  deleteClientRegistration(key: ClientRegistrationKey): Promise<void>;

  /**
   * Stores connections unchanged, all or none, without events. An existing connection stays, or is replaced with
   * `replace`. Resolves to the number of stored connections.
   */
  importConnections(connections: readonly ImportedConnection[], options: { replace: boolean }): Promise<number>;

  /** Records that a server runs now, by the database's clock. */
  recordServer(server: ServerRecord): Promise<void>;
  removeServer(id: string): Promise<void>;
  /** Returns the servers whose record is at most this old. */
  liveServers(withinMs: number): Promise<LiveServer[]>;

  /** Returns sealed values of a table in the order of its key, beginning after the key `after`. */
  sealedValues(
    table: SealedTable,
    query: { after: readonly string[] | undefined; limit: number },
  ): Promise<SealedValue[]>;
  /** Replaces a sealed value by the same value under another key, unless it changed since it was read. */
  replaceSealed(value: SealedValue, sealed: Uint8Array): Promise<boolean>;
}

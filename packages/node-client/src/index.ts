import { NangoClientError } from './client-error.ts';
import { HttpApi } from './http-api.ts';
import { accountOptions, assertText, requestFields, splitNamed } from './named-connection.ts';
import type {
  ActionConnection,
  JsonValue,
  Confirmation,
  ConfirmedConnection,
  Connection,
  Credentials,
  ModeCredentials,
  NewConnection,
  OAuthClient,
  ConnectionFilter,
  ConnectionReference,
  ConnectionWithCredentials,
  ApiRequest,
  ApiResponse,
  ConnectSessionRequest,
  ConnectSession,
  ServerInfo,
  DeadDelivery,
  DeleteOptions,
  DeviceAuthorization,
  DeviceAuthorizationStatus,
  EventPage,
  EventQuery,
  PaginatedRequest,
  ReconnectSessionRequest,
  Success,
} from './types.ts';

export { NangoClientError, type NangoErrorType } from './client-error.ts';
export { verifyWebhook, verifyWebhookAsync, type WebhookHeaders } from './verify-webhook.ts';
export type { NangoErrorCode } from './error-codes.ts';
export type * from './types.ts';

/** Where the server is, and the key that authenticates this client. */
export interface NangoOptions {
  /** Default: NANGO_SERVER_URL, else http://localhost:3003. */
  serverUrl?: string;
  /** Default: NANGO_SECRET_KEY. */
  secretKey?: string;
}

const DEFAULT_SERVER_URL = 'http://localhost:3003';
const PAGE_SIZE = 200;

/** Client of a Nango server, for an application's back end. */
export default class Nango {
  readonly #api: HttpApi;

  /** Throws if there is no secret key or the URL is invalid. Sends nothing. */
  constructor(options: NangoOptions = {}) {
    const secretKey = options.secretKey ?? environment('NANGO_SECRET_KEY') ?? '';
    if (secretKey === '') {
      throw new NangoClientError(
        'invalid_input',
        'The secret key is missing: pass new Nango({ secretKey }) or set NANGO_SECRET_KEY.',
      );
    }
    this.#api = new HttpApi(options.serverUrl ?? (environment('NANGO_SERVER_URL') || DEFAULT_SERVER_URL), secretKey);
  }

  /** Checks that the server responds and the key is right. Optional: every method works without it. */
  async connect(): Promise<Success<ServerInfo>> {
    return succeed(await this.#api.call<ServerInfo>('GET', '/api/server'));
  }

  /** Ends requests in flight. Later calls reject with `network_error`. */
  close(): void {
    this.#api.close();
  }

  /**
   * Registers a connection with credentials that you have. Rejects with `connection_exists` if the user already has a
   * connection to the integration. For credentials whose fields the Integration declares itself, name their type:
   * `registerConnection<DeclaredCredentials>(…)`.
   */
  registerConnection<Input extends Credentials = ModeCredentials>(
    connection: NewConnection,
    credentials: NoInfer<Input>,
    additionalConfig?: Record<string, unknown>,
  ): Promise<Success<Connection>>;
  // oxlint-disable-next-line max-params -- The signature is the public interface of the SDK.
  registerConnection<Input extends Credentials = ModeCredentials>(
    integration: string,
    userId: string,
    credentials: NoInfer<Input>,
    additionalConfig?: Record<string, unknown>,
  ): Promise<Success<Connection>>;
  async registerConnection(...parameters: unknown[]): Promise<Success<Connection>> {
    const [connection, [credentials, additionalConfig]] = splitNamed(parameters);
    const body = { ...connection, ...accountOptions(parameters), credentials, additionalConfig };
    return succeed((await this.#api.call<{ connection: Connection }>('POST', '/api/connections', { body })).connection);
  }

  /** Replaces a connection's credentials. They must fit the Integration's auth mode. */
  updateConnectionCredentials<Input extends Credentials = ModeCredentials>(
    connection: ConnectionReference,
    credentials: NoInfer<Input>,
  ): Promise<Success<Connection>>;
  updateConnectionCredentials<Input extends Credentials = ModeCredentials>(
    integration: string,
    userId: string,
    credentials: NoInfer<Input>,
  ): Promise<Success<Connection>>;
  async updateConnectionCredentials(...parameters: unknown[]): Promise<Success<Connection>> {
    const [query, [credentials]] = splitNamed(parameters);
    const call = { query, body: { credentials } };
    return succeed(
      (await this.#api.call<{ connection: Connection }>('PUT', '/api/connection/credentials', call)).connection,
    );
  }

  /** Replaces a connection's additionalConfig. */
  updateConnectionConfig(
    connection: ConnectionReference,
    additionalConfig: Record<string, unknown>,
  ): Promise<Success<Connection>>;
  updateConnectionConfig(
    integration: string,
    userId: string,
    additionalConfig: Record<string, unknown>,
  ): Promise<Success<Connection>>;
  async updateConnectionConfig(...parameters: unknown[]): Promise<Success<Connection>> {
    const [query, [additionalConfig]] = splitNamed(parameters);
    const call = { query, body: { additionalConfig } };
    return succeed(
      (await this.#api.call<{ connection: Connection }>('PUT', '/api/connection/config', call)).connection,
    );
  }

  /** Replaces a connection's tags. */
  updateConnectionTags(connection: ConnectionReference, tags: Record<string, string>): Promise<Success<Connection>>;
  updateConnectionTags(integration: string, userId: string, tags: Record<string, string>): Promise<Success<Connection>>;
  async updateConnectionTags(...parameters: unknown[]): Promise<Success<Connection>> {
    const [query, [tags]] = splitNamed(parameters);
    const call = { query, body: { tags } };
    return succeed((await this.#api.call<{ connection: Connection }>('PUT', '/api/connection/tags', call)).connection);
  }

  /** Replaces the secret of a connection's own OAuth app. A refresh that is in flight ends first. */
  updateConnectionOAuthClient(connection: ConnectionReference, oauthClient: OAuthClient): Promise<Success<Connection>>;
  updateConnectionOAuthClient(
    integration: string,
    userId: string,
    oauthClient: OAuthClient,
  ): Promise<Success<Connection>>;
  async updateConnectionOAuthClient(...parameters: unknown[]): Promise<Success<Connection>> {
    const [query, [oauthClient]] = splitNamed(parameters);
    const call = { query, body: { oauthClient } };
    return succeed(
      (await this.#api.call<{ connection: Connection }>('PUT', '/api/connection/oauth-client', call)).connection,
    );
  }

  /** Returns all connections that match the filter. */
  async getConnections(filter: ConnectionFilter = {}): Promise<Success<Connection[]>> {
    const connections: Connection[] = [];
    for await (const connection of this.listConnections(filter)) connections.push(connection);
    return succeed(connections);
  }

  /** Yields the connections that match the filter. A page of 200 is requested when its first connection is needed. */
  async *listConnections(filter: ConnectionFilter = {}): AsyncGenerator<Connection, void, undefined> {
    const { tags = {}, ...texts } = filter;
    const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
    for (const [name, value] of Object.entries(texts))
      if (value !== undefined) query.set(name, assertText(name, value));
    for (const [name, value] of Object.entries(tags)) query.append('tag', `${name}=${value}`);
    for (;;) {
      const path = `/api/connections?${query.toString()}`;
      const page = await this.#api.call<{ connections: Connection[]; nextCursor: string | null }>('GET', path);
      yield* page.connections;
      if (page.nextCursor === null) return;
      query.set('cursor', page.nextCursor);
    }
  }

  /** Returns all connections of a user; [] if there are none. */
  async getConnectionsForUserId(userId: string): Promise<Success<Connection[]>> {
    assertText('userId', userId);
    return this.getConnections({ userId });
  }

  /** Returns all connections to an integration; [] if there are none. */
  async getConnectionsForIntegration(integration: string): Promise<Success<Connection[]>> {
    assertText('integration', integration);
    return this.getConnections({ integration });
  }

  /** Returns one connection with fresh credentials. */
  getConnection(connection: ConnectionReference): Promise<Success<ConnectionWithCredentials>>;
  getConnection(integration: string, userId: string): Promise<Success<ConnectionWithCredentials>>;
  async getConnection(...parameters: unknown[]): Promise<Success<ConnectionWithCredentials>> {
    const [query] = splitNamed(parameters);
    const response = await this.#api.call<{ connection: Connection; credentials: object }>('GET', '/api/connection', {
      query,
    });
    // The server's response schemas guarantee the shape.
    return succeed({ ...response.connection, credentials: response.credentials } as ConnectionWithCredentials);
  }

  /**
   * Deletes a connection and its credentials. With `revoke`, the grant is revoked first. If the provider rejects the
   * revocation or has no revocation endpoint, the connection stays.
   */
  deleteConnection(connection: ConnectionReference, options?: DeleteOptions): Promise<Success<null>>;
  deleteConnection(integration: string, userId: string, options?: DeleteOptions): Promise<Success<null>>;
  async deleteConnection(...parameters: unknown[]): Promise<Success<null>> {
    const [connection, [options]] = splitNamed<[DeleteOptions?]>(parameters);
    await this.#api.call('DELETE', '/api/connection', {
      query: { ...connection, revoke: String(options?.revoke ?? false) },
    });
    return succeed(null);
  }

  /** Runs an Action and returns its result. `Result` is the type that you expect; it is not checked. */
  // oxlint-disable-next-line max-params -- The signature is the public interface of the SDK.
  async triggerAction<Result = JsonValue>(
    integration: string,
    action: string,
    user: string | ActionConnection,
    input?: unknown,
  ): Promise<Success<Result>> {
    assertText('integration', integration);
    assertText('action', action);
    const [{ integration: _, ...connection }] = splitNamed(
      typeof user === 'object' ? [{ integration, ...user }] : [integration, user],
    );
    const path = `/api/actions/${encodeURIComponent(integration)}/${encodeURIComponent(action)}`;
    return succeed(
      (await this.#api.call<{ result: Result }>('POST', path, { body: { ...connection, input: input ?? null } }))
        .result,
    );
  }

  /** Sends an authorized request to a connection's API through the server. Resolves for every status of the API. */
  request<Body = unknown>(connection: ConnectionReference, request: ApiRequest): Promise<Success<ApiResponse<Body>>>;
  request<Body = unknown>(
    integration: string,
    userId: string,
    request: ApiRequest,
  ): Promise<Success<ApiResponse<Body>>>;
  async request<Body>(...parameters: unknown[]): Promise<Success<ApiResponse<Body>>> {
    const [connection, [request]] = splitNamed<[ApiRequest]>(parameters);
    if (typeof request.endpoint !== 'string') throw new NangoClientError('invalid_input', 'endpoint must be text.');
    return succeed(
      await this.#api.call<ApiResponse<Body>>('POST', '/api/request', {
        body: { ...requestFields(request), ...connection },
      }),
    );
  }

  /**
   * Yields the items of a list from a connection's API, over all its pages. The Integration's `requests.pagination`
   * says how the API splits lists into pages; `pagination` overrides it. A page is requested when its first item is
   * needed.
   */
  paginate<Item = unknown>(
    connection: ConnectionReference,
    request: PaginatedRequest,
  ): AsyncGenerator<Item, void, undefined>;
  paginate<Item = unknown>(
    integration: string,
    userId: string,
    request: PaginatedRequest,
  ): AsyncGenerator<Item, void, undefined>;
  async *paginate<Item>(...parameters: unknown[]): AsyncGenerator<Item, void, undefined> {
    const [connection, [request]] = splitNamed<[PaginatedRequest]>(parameters);
    let next: string | undefined;
    do {
      const { pagination } = request;
      const body = { ...requestFields(request), pagination, next, ...connection };
      const page: { items: Item[]; next: string | null } = await this.#api.call('POST', '/api/request/page', { body });
      yield* page.items;
      next = page.next ?? undefined;
    } while (next !== undefined);
  }

  /** Creates the token that `connect()` of @nangohq/frontend needs on a public server. Give it only to that user. */
  async createConnectSession(
    request: ConnectSessionRequest | ReconnectSessionRequest,
  ): Promise<Success<ConnectSession>> {
    if ('connectionId' in request && request.connectionId !== undefined)
      assertText('connectionId', request.connectionId);
    else assertText('userId', request.userId);
    return succeed(await this.#api.call<ConnectSession>('POST', '/api/connect-sessions', { body: request }));
  }

  /**
   * Stores the connection of a session with `confirm`. `code` is the parameter `nango_code` of the page to which the
   * browser returned. `userId` is the user who is signed in there. Rejects with `forbidden` if the session is for
   * another user.
   */
  async confirmConnection({ code, userId }: Confirmation): Promise<Success<ConfirmedConnection>> {
    const body = { code: assertText('code', code), userId: assertText('userId', userId) };
    return succeed(await this.#api.call<ConfirmedConnection>('POST', '/api/connect-confirmations', { body }));
  }

  /**
   * Begins to connect a user without a browser on this machine. The user enters a code on another device (RFC 8628).
   */
  beginDeviceAuthorization(
    connection: NewConnection,
    additionalConfig?: Record<string, unknown>,
  ): Promise<Success<DeviceAuthorization>>;
  beginDeviceAuthorization(
    integration: string,
    userId: string,
    additionalConfig?: Record<string, unknown>,
  ): Promise<Success<DeviceAuthorization>>;
  async beginDeviceAuthorization(...parameters: unknown[]): Promise<Success<DeviceAuthorization>> {
    const [connection, [additionalConfig]] = splitNamed(parameters);
    const body = { ...connection, ...accountOptions(parameters), additionalConfig };
    return succeed(await this.#api.call<DeviceAuthorization>('POST', '/api/device-authorizations', { body }));
  }

  /** Requests the state of a device authorization once. Rejects with `access_denied` if the user refused. */
  async pollDeviceAuthorization(attempt: string): Promise<Success<DeviceAuthorizationStatus>> {
    assertText('attempt', attempt);
    return succeed(
      await this.#api.call<DeviceAuthorizationStatus>('POST', '/api/device-authorizations/poll', { body: { attempt } }),
    );
  }

  /**
   * Returns a page of events. Without a cursor, it begins with the oldest stored event. `nextCursor` is the cursor of
   * the next page. The cursor stays valid, so you can use it later to read newer events.
   */
  async getEvents({ cursor, limit }: EventQuery = {}): Promise<Success<EventPage>> {
    const query: Record<string, string> = {};
    if (cursor !== undefined) query['cursor'] = cursor;
    if (limit !== undefined) query['limit'] = String(limit);
    return succeed(await this.#api.call<EventPage>('GET', '/api/events', { query }));
  }

  /** Returns the dead events: those that a webhook did not accept within three days. */
  async getDeadDeliveries(): Promise<Success<DeadDelivery[]>> {
    const deliveries: DeadDelivery[] = [];
    let cursor: string | null = null;
    do {
      const query: Record<string, string> = { limit: String(PAGE_SIZE), ...(cursor === null ? {} : { cursor }) };
      const page: { deliveries: DeadDelivery[]; nextCursor: string | null } = await this.#api.call(
        'GET',
        '/api/webhooks/dead',
        { query },
      );
      deliveries.push(...page.deliveries);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return succeed(deliveries);
  }

  /** Delivers dead events of a webhook again: all, or only the one with `eventId`. Resolves to the number of events. */
  async replayDeliveries(webhook: string, eventId?: string): Promise<Success<number>> {
    assertText('webhook', webhook);
    const call = { body: { webhook, eventId } };
    return succeed((await this.#api.call<{ replayed: number }>('POST', '/api/webhooks/replay', call)).replayed);
  }
}

export { Nango };

/** Returns an environment variable. Some edge runtimes have no environment; then it is undefined. */
function environment(name: string): string | undefined {
  return typeof process === 'undefined' ? undefined : process.env[name];
}

function succeed<T>(returnValue: T): Success<T> {
  return { success: true, returnValue };
}

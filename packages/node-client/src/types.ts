/** Any value that JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** One of a user's accounts at an Integration. */
export interface ConnectionKey {
  integration: string;
  userId: string;
  /** Default: `default`. */
  account?: string | undefined;
}

/** A connection by its key or by its id. If an Integration is named beside the id, it must be the connection's. */
export type ConnectionReference = ConnectionKey | { connectionId: string; integration?: string | undefined };

/** Which connections to list. A connection must match all of these. */
export interface ConnectionFilter {
  integration?: string;
  userId?: string;
  /** The first characters of the user id; not together with `userId`. */
  userIdPrefix?: string;
  account?: string;
  /** The provider's id of the user who connected. */
  identity?: string;
  status?: 'active' | 'needs_reconnect';
  tags?: Record<string, string>;
}

/** The connection that an Action works with. */
export type ActionConnection = { userId: string; account?: string | undefined } | { connectionId: string };

/** An account to connect. With `newAccount: true`, the server names it. */
export type NewConnection = (ConnectionKey | { integration: string; userId: string; newAccount: true }) & {
  tags?: Record<string, string> | undefined;
  /** The customer's own OAuth app, if the credentials were issued to it. */
  oauthClient?: OAuthClient | undefined;
};

/** A customer's own OAuth app, in place of the client of the Integration. */
export interface OAuthClient {
  clientId: string;
  /** May be absent for public clients only. */
  clientSecret?: string;
}

/** How users authenticate to an Integration. */
export type AuthMode = 'OAUTH2' | 'OAUTH1' | 'API_KEY' | 'USERNAME_PASSWORD' | 'JWT' | 'AWS_SIGV4';

/** Who connected, as the provider names them. */
export interface Identity {
  /** The provider's id of the user. */
  user: string;
  /** The provider's id of the workspace, team or company. */
  workspace: string | null;
  /** For people: an e-mail address or a login. */
  name: string | null;
}

/** A connection without its credentials; times are ISO 8601. */
export interface Connection {
  /** Stays the same after a reconnect. */
  id: string;
  /** The id, by its name in earlier releases. */
  uuid: string;
  integration: string;
  userId: string;
  /** Your own name of one of the user's accounts; `default` if you named none. */
  account: string;
  authMode: AuthMode;
  dateCreated: string;
  lastModified: string;
  /** Set by your back end. */
  tags: Record<string, string>;
  additionalConfig: Record<string, JsonValue>;
  /** Who connected, as the provider says; null if it is unknown. */
  identity: Identity | null;
  /** The customer's own OAuth app; null = the client of the Integration. The secret is never shown. */
  oauthClient: { clientId: string } | null;
  /** The scopes that were asked for; null if they are unknown. */
  requestedScopes: string[] | null;
  /** The scopes that the provider granted; null if it did not say. */
  grantedScopes: string[] | null;
  /** Requested scopes that were not granted; null if it is unknown. */
  missingScopes: string[] | null;
  status: 'active' | 'needs_reconnect';
  /** Why the user has to connect again, in words for developers; null while active. */
  statusReason: string | null;
  /** The same in words for the user; null while active. */
  statusMessage: string | null;
}

/** Credentials of an OAUTH2 connection. */
export interface OAuth2Credentials {
  access_token: string;
  refresh_token?: string | undefined;
  /** As input also a Date, or an epoch in seconds or milliseconds; as output ISO 8601. */
  expires_at?: string | number | Date | undefined;
  [field: string]: unknown;
}

/** Credentials of an OAUTH1 connection. */
export interface OAuth1Credentials {
  oauth_token: string;
  oauth_token_secret: string;
  [field: string]: unknown;
}

/** Credentials of an API_KEY connection. */
export interface ApiKeyCredentials {
  api_key: string;
  [field: string]: unknown;
}

/** Credentials of a USERNAME_PASSWORD connection. */
export interface UsernamePasswordCredentials {
  username: string;
  password: string;
  [field: string]: unknown;
}

/** Credentials of an AWS_SIGV4 connection. */
export interface AwsCredentials {
  access_key_id: string;
  secret_access_key: string;
  session_token?: string | undefined;
  [field: string]: unknown;
}

/** Fields that an Integration declares itself (`auth.credentials`). Empty if tokens are issued to the application. */
export type DeclaredCredentials = Record<string, string>;

/** Credentials by auth mode. Empty if tokens are issued to the application. Other fields are stored under `raw`. */
export type ModeCredentials =
  | OAuth2Credentials
  | OAuth1Credentials
  | ApiKeyCredentials
  | UsernamePasswordCredentials
  | AwsCredentials
  | Record<string, never>;

/**
 * Credentials that can be registered. For fields that an Integration declares itself, name the type:
 * `registerConnection<DeclaredCredentials>(…)`.
 */
export type Credentials = ModeCredentials | DeclaredCredentials;

/** The fields that read credentials can have. */
interface ReadFields {
  access_token?: string;
  refresh_token?: string;
  /** ISO 8601. */
  expires_at?: string;
  oauth_token?: string;
  oauth_token_secret?: string;
  api_key?: string;
  username?: string;
  password?: string;
  access_key_id?: string;
  secret_access_key?: string;
  session_token?: string;
}

/** Credentials as they are read. The fields that a mode always has are present. */
type Read<Always extends keyof ReadFields = never> = ReadFields & {
  /** The registered credentials, or the last token response merged over earlier ones. */
  raw: Record<string, JsonValue>;
  [field: string]: unknown;
} & { [Field in Always]-?: string };

interface CredentialsByMode {
  OAUTH2: Read<'access_token'>;
  OAUTH1: Read<'oauth_token' | 'oauth_token_secret'>;
  API_KEY: Read;
  USERNAME_PASSWORD: Read;
  JWT: Read;
  AWS_SIGV4: Read<'access_key_id' | 'secret_access_key'>;
}

/** A connection with fresh credentials. `authMode` says which fields they have. */
export type ConnectionWithCredentials = {
  [Mode in AuthMode]: Connection & { authMode: Mode; credentials: CredentialsByMode[Mode] };
}[AuthMode];

/** A request to an external API. */
export interface ApiRequest {
  /** Default: GET. */
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS' | 'HEAD';
  /** Relative to the Integration's base_url. */
  endpoint: string;
  /** Query parameters. A list repeats the parameter; null omits it. */
  params?: Record<string, string | number | boolean | null | (string | number | boolean)[]>;
  headers?: Record<string, string>;
  /** A string is sent as it is, everything else as JSON. */
  body?: unknown;
  /** How often the request may be retried if the API's quota is used up. */
  retry?: {
    /** Default: 3, at most 10. */
    maxRetries?: number;
    /** Whether methods that are not idempotent are retried too. Default: false. */
    anyMethod?: boolean;
  };
}

/** A request for a list. Its `pagination` says how the API splits the list into pages. */
export type PaginatedRequest = ApiRequest & { pagination?: Pagination };

/** How a connection is deleted. */
export interface DeleteOptions {
  /** Whether the grant is revoked at the provider first. Default: false. */
  revoke?: boolean;
}

/** How an API splits lists into pages. The keys override those of the Integration's `requests.pagination`. */
export interface Pagination {
  type?: 'link' | 'cursor' | 'offset';
  /** Path of the items in the response, such as `data.items`. */
  items?: string;
  [key: string]: JsonValue | undefined;
}

/**
 * An external API's response, whatever its status. `Body` is the type that you expect of its JSON; it is not checked.
 */
export interface ApiResponse<Body = unknown> {
  status: number;
  statusText: string;
  /** Names in lower case. */
  headers: Record<string, string | string[]>;
  /** The body as text. */
  data: string;
  /** The body, if it is JSON. */
  json?: Body;
  /** The scopes that the connection lacks, if the API refused with 403 and `insufficient_scope`. */
  missingScopes?: string[];
}

/** What a session permits, beside whose connections. */
export interface ConnectSessionOptions {
  /** Tags of the connection. Default: those that it has. */
  tags?: Record<string, string>;
  /** The only page origin that may use the token, such as `https://app.example.com`. */
  origin?: string;
  /** The page to which the browser returns: one of `allowed_redirect_urls`. It takes precedence over that of a page. */
  redirectUrl?: string;
  /** Whether the connection is stored only when you confirm it with `confirmConnection`. Needs `redirectUrl`. */
  confirm?: boolean;
  /** The person who connects, as pages show them. Default: the user id. */
  endUser?: { name?: string; email?: string };
  /** Settings of the connection, by Integration. They take precedence over those of the page. */
  additionalConfig?: Record<string, Record<string, unknown>>;
  /** The customer's own OAuth app. The session must name exactly one Integration. */
  oauthClient?: OAuthClient;
  /** Scopes to ask for, by Integration: some of its `oauth_scopes` and `allowed_scopes`. Default: `oauth_scopes`. */
  scopes?: Record<string, string[]>;
  /** Whether a connection may be replaced by one of another account at the provider. Default: false. */
  allowAccountChange?: boolean;
  /** The life of the link, of at most 7 days. The token lives at most a day. Default: 900. */
  expiresInSeconds?: number;
}

/** A permission for one user to connect accounts. */
export interface ConnectSessionRequest extends ConnectSessionOptions {
  userId: string;
  /** The only account that the token permits. Default: `default`. */
  account?: string;
  /** A new account, which the server names. */
  newAccount?: boolean;
  /** Default: all integrations. */
  integrations?: string[];
}

/** A permission to connect one existing connection again. */
export interface ReconnectSessionRequest extends ConnectSessionOptions {
  connectionId: string;
  /** If you name it, it must be the connection's. */
  userId?: string;
}

/** A short-lived permission for one user's browser. */
export interface ConnectSession {
  token: string;
  /** The only account that the token permits. */
  account: string;
  /** ISO 8601. */
  expiresAt: string;
  /** A link for the user. Null if no integrations were named, or one of them needs fields from the user. */
  connectUrl: string | null;
  /** ISO 8601. */
  connectUrlExpiresAt: string | null;
}

/** The code that a browser brought to your page, and the user who is signed in there. */
export interface Confirmation {
  code: string;
  userId: string;
}

/** A connection that was confirmed. */
export interface ConfirmedConnection {
  connectionId: string;
  integration: string;
  userId: string;
  account: string;
}

/** A field that a form prompts for. */
export interface InputField {
  label?: string;
  description?: string;
  example?: string;
  /** Regular expression that the whole value must match. */
  pattern?: string;
  /** Used if the user enters no value. */
  default?: string;
  optional?: boolean;
  /** Whether the value must be hidden during input. */
  secret?: boolean;
}

/** An integration, and the fields that are needed to connect to it. */
export interface IntegrationInfo {
  name: string;
  authMode: AuthMode;
  blueprint: string | null;
  /** The redirect URI to register at its provider. */
  callbackUrl: string;
  actions: string[];
  /** The fields to prompt for; null if the user authorizes in a browser, or no user credentials are needed. */
  credentials: Record<string, InputField> | null;
  /** The fields of `additionalConfig`. */
  config: Record<string, InputField>;
}

/** Facts about this server. */
export interface ServerInfo {
  version: string;
  callbackUrl: string;
  integrations: IntegrationInfo[];
}

/** A code that a user enters on another device (RFC 8628). Times in seconds. */
export interface DeviceAuthorization {
  /** For `pollDeviceAuthorization`. */
  attempt: string;
  /** The account that is connected. */
  account: string;
  userCode: string;
  verificationUri: string;
  /** The same address with the code in it. */
  verificationUriComplete?: string;
  expiresIn: number;
  /** Seconds to wait between two polls. */
  interval: number;
}

/** The state of a device authorization. After `slow_down`, wait five seconds longer from now on. */
export interface DeviceAuthorizationStatus {
  status: 'pending' | 'slow_down' | 'succeeded';
}

/** Something that happened to a connection. */
export interface NangoEvent {
  /** The same for every delivery of this event. */
  id: string;
  type:
    | 'connection.created'
    | 'connection.reconnected'
    | 'connection.refreshed'
    | 'connection.refresh_failed'
    | 'connection.needs_reconnect'
    | 'connection.recovered'
    | 'connection.deleted';
  /** ISO 8601. */
  timestamp: string;
  /** The connection at that time, without credentials. */
  data: {
    id: string;
    /** The id, by its name in earlier releases. */
    uuid: string;
    integration: string;
    userId: string;
    account: string;
    identity: Identity | null;
    tags: Record<string, string>;
    authMode: AuthMode;
    status: Connection['status'];
    statusReason: string | null;
    /** For `connection.refresh_failed`: the message of the provider or the network. */
    error?: string;
  };
}

/** The page of events that `getEvents` returns. */
export interface EventQuery {
  /** `nextCursor` of an earlier page; default: the beginning. */
  cursor?: string | undefined;
  /** 1 to 200. Default: 100. */
  limit?: number | undefined;
}

/** A page of events. */
export interface EventPage {
  events: NangoEvent[];
  nextCursor: string;
  /** Whether there are more events now. */
  hasMore: boolean;
}

/** An event that a webhook did not accept. */
export interface DeadDelivery {
  webhook: string;
  /** The error of the last attempt. */
  error: string | null;
  event: NangoEvent;
}

/** The result that every method resolves to. */
export interface Success<T> {
  success: true;
  returnValue: T;
}

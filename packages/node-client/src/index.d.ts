/** Anything JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | {
    [key: string]: JsonValue;
};
/** A connection without its credentials; times are ISO 8601. */
export interface Connection {
    uuid: string;
    integration: string;
    userId: string;
    authMode: 'OAUTH2' | 'OAUTH1' | 'API_KEY' | 'USERNAME_PASSWORD' | (string & {});
    dateCreated: string;
    lastModified: string;
    additionalConfig: Record<string, JsonValue>;
    status: 'active' | 'needs_reconnect';
    /** Why the user has to connect again; null while active. */
    statusReason: string | null;
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
/** Credentials, by the Integration's auth mode. Fields beyond the mode's own are kept under `raw`. */
export type Credentials = OAuth2Credentials | OAuth1Credentials | ApiKeyCredentials | UsernamePasswordCredentials;
/** A connection with fresh credentials; `raw` is the token endpoint's last answer, or what was registered. */
export interface ConnectionWithCredentials extends Connection {
    credentials: {
        raw: Record<string, JsonValue>;
        [field: string]: unknown;
    };
}
/** A call to an external API. */
export interface ApiRequest {
    /** Default: GET. */
    method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS' | 'HEAD';
    /** Relative to the Integration's base_url. */
    endpoint: string;
    /** Query parameters; a list repeats one, null leaves it out. */
    params?: Record<string, string | number | boolean | null | (string | number | boolean)[]>;
    headers?: Record<string, string>;
    /** A string goes as it is, everything else as JSON. */
    body?: unknown;
}
/** An external API's answer, whatever its status. */
export interface ApiResponse {
    status: number;
    statusText: string;
    /** Names in lower case. */
    headers: Record<string, string | string[]>;
    /** The body as text. */
    data: string;
    /** The body, where it is JSON. */
    json?: unknown;
}
/** What `createConnectSession` permits. */
export interface ConnectSessionRequest {
    userId: string;
    /** Default: all integrations. */
    integrations?: string[];
    /** The only page origin that may use the token, such as `https://app.example.com`. */
    origin?: string;
    /** Default: 900. */
    expiresInSeconds?: number;
}
/** A short-lived permission for one user's browser. */
export interface ConnectSession {
    token: string;
    /** ISO 8601. */
    expiresAt: string;
}
/** What this server knows. */
export interface ServerInfo {
    version: string;
    callbackUrl: string;
    integrations: {
        name: string;
        authMode: string;
        blueprint: string | null;
        actions: string[];
    }[];
}
/** What every method resolves to. */
export interface Success<T> {
    success: true;
    returnValue: T;
}
/** What every method rejects with. */
export declare class NangoClientError extends Error {
    readonly name = "NangoClientError";
    readonly success = false;
    /** The message, under the name results have it. */
    readonly errorMsg: string;
    /** A stable code: the server's, or `network_error` and `invalid_input` of this client. */
    readonly type: string;
    /** The HTTP status; undefined where there was no answer. */
    readonly status: number | undefined;
    /** Names the request in the server's log. */
    readonly requestId: string | undefined;
    constructor(type: string, message: string, details?: {
        status?: number;
        requestId?: string | undefined;
        cause?: unknown;
    });
}
export interface NangoOptions {
    /** Default: NANGO_SERVER_URL, else http://localhost:3003. */
    serverUrl?: string;
    /** Default: NANGO_SECRET_KEY. */
    secretKey?: string;
}
/** Client of a Nango server, for an application's back end. */
export default class Nango {
    #private;
    /** Throws when there is no secret key or the URL is none; nothing is sent yet. */
    constructor(options?: NangoOptions);
    /** Checks that the server answers and the key is right. Optional: every method works without it. */
    connect(): Promise<Success<ServerInfo>>;
    /** Ends requests under way; later ones are rejected. */
    close(): void;
    /** Registers a connection with credentials you have. Rejects with `connection_exists` when the pair has one. */
    registerConnection(integration: string, userId: string, credentials: Credentials, additionalConfig?: Record<string, unknown>): Promise<Success<Connection>>;
    /** Replaces a connection's credentials; they must fit the Integration's auth mode. */
    updateConnectionCredentials(integration: string, userId: string, credentials: Credentials): Promise<Success<Connection>>;
    /** Replaces a connection's additionalConfig. */
    updateConnectionConfig(integration: string, userId: string, additionalConfig: Record<string, unknown>): Promise<Success<Connection>>;
    /** All connections of a user; [] when there are none. */
    getConnectionsForUserId(userId: string): Promise<Success<Connection[]>>;
    /** All connections to an integration; [] when there are none. */
    getConnectionsForIntegration(integration: string): Promise<Success<Connection[]>>;
    /** One connection with credentials, refreshed where needed. */
    getConnection(integration: string, userId: string): Promise<Success<ConnectionWithCredentials>>;
    /** Deletes a connection and its credentials. */
    deleteConnection(integration: string, userId: string): Promise<Success<null>>;
    /** Runs an Action and returns what it returned. */
    triggerAction(integration: string, action: string, userId: string, input?: unknown): Promise<Success<JsonValue>>;
    /** Sends an authorized request to a connection's API, through the server. Resolves for every HTTP status of the API. */
    request(integration: string, userId: string, request: ApiRequest): Promise<Success<ApiResponse>>;
    /** Mints the token that `connect()` of @nangohq/frontend needs on a public server. Give it only to the user it is for. */
    createConnectSession(request: ConnectSessionRequest): Promise<Success<ConnectSession>>;
}
export { Nango };

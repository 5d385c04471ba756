import type { z } from 'zod';
import type { Fields, PlaceholderScope } from '../schema/fields.ts';
import type { InputFields } from '../schema/input-fields.ts';
import type { ConcurrencyLimits, Pagination, RateLimit, RequestTimeouts } from '../schema/request-settings.ts';
import type { Template } from '../schema/template.ts';
import type { ResponseParameters } from '../oauth/authorization-response.ts';
import type { AuthorizationServerMetadata } from '../oauth/discovery/authorization-server-metadata.ts';
import type { RegisteredClient } from '../oauth/discovery/client-registration.ts';
import type { MetadataCache } from '../oauth/discovery/metadata-cache.ts';
import type { ClientCertificate, OAuthHttp } from '../oauth/oauth-http.ts';
import type { ProtectedResourceMetadata } from '../oauth/discovery/protected-resource-metadata.ts';
import type { MaybeSecret, Secret } from '../vault/secret.ts';

/** Concurrent refreshes of an Integration that configures no other number. */
export const DEFAULT_REFRESH_CONCURRENCY = 10;

/** Any value that JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
/** A JSON object. */
export type JsonObject = Record<string, JsonValue>;

/** Members that every `auth` section has. */
export interface BaseAuth {
  readonly auth_mode: string;
  /** Largest response of a call to the provider, in bytes; undefined = the default. */
  readonly max_response_bytes?: number | undefined;
}

/** Members that all credentials have. */
export interface BaseCredentials {
  /** The last token response, or the registered values. */
  readonly raw: Secret<JsonObject>;
  /** The facts about the grant that a refresh needs. They are never shown. */
  readonly grant?: object | undefined;
}

/** An integration of `integrations.yaml`, merged with its Blueprint, validated and ready for use. */
export interface Integration<Auth extends BaseAuth = BaseAuth> {
  readonly name: string;
  readonly blueprint: string | undefined;
  readonly oauthClientId: string | undefined;
  readonly oauthClientSecret: Secret<string> | undefined;
  readonly oauthScopes: readonly string[];
  /** Scopes that a connect session may ask for beside those. */
  readonly allowedScopes: readonly string[];
  /** The redirect URI, if it is not the address of this server. */
  readonly callbackUrl: string | undefined;
  readonly appApiKey: Secret<string> | undefined;
  readonly clientCertificate: Secret<ClientCertificate> | undefined;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** The time for a whole request whose response is not streamed; 0 = no limit. */
  readonly httpRequestTimeoutSeconds: number;
  readonly timeouts: RequestTimeouts;
  readonly limits: ConcurrencyLimits;
  readonly allowHttp: boolean;
  /**
   * Whether the connections of this Integration share HTTP/1.1 sockets, and trust the API to keep their responses
   * apart.
   */
  readonly shareSockets: boolean;
  /**
   * Whether connections, or a Blueprint of the user's own, choose hosts. If so, only public addresses may be reached.
   */
  readonly isGuarded: boolean;
  /**
   * Origins that the operator's own configuration names. A connection or a provider's response chose every other
   * origin.
   */
  readonly configuredOrigins: ReadonlySet<string>;
  /** Maximum number of refreshes that one server runs at the same time. */
  readonly refreshConcurrency: number;
  /** Days of rejected refreshes without a reason after which the user has to connect again; 0 = never. */
  readonly reconnectAfterRefusedDays: number;
  readonly auth: Auth;
  /** Settings that each connection has beside its credentials. */
  readonly configFields: InputFields;
  readonly requests: RequestConfig;
}

/** The `requests` section. Names are as configured; header names compare without case. */
export interface RequestConfig {
  readonly baseUrl: Template;
  readonly headers: ReadonlyMap<string, Template>;
  readonly params: ReadonlyMap<string, Template>;
  readonly rateLimit: RateLimit | undefined;
  /** Origins other than the API's own that its redirects may lead to. */
  readonly redirectOrigins: readonly string[];
  readonly pagination: Pagination | undefined;
}

/** The connection's own settings, as `${config.x}` reads them. */
export type AdditionalConfig = JsonObject;

/** The parts that an auth mode needs to call an authorization server. */
export interface AuthModeContext {
  readonly http: OAuthHttp;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Returns a random value of at least 256 bits, in base64url. */
  readonly randomToken: () => string;
  readonly authorizationServers: MetadataCache<AuthorizationServerMetadata>;
  readonly protectedResources: MetadataCache<ProtectedResourceMetadata>;
  readonly registrations: ClientRegistrations;
}

/** Identifies a dynamically registered client. */
export interface ClientRegistrationKey {
  readonly integration: string;
  readonly issuer: string;
  readonly redirectUri: string;
}

/** Stores the clients that were registered dynamically (RFC 7591). */
export interface ClientRegistrations {
  /** Returns the client of a key. Calls `register` if there is none, or if its secret expired. */
  findOrRegister(key: ClientRegistrationKey, register: () => Promise<RegisteredClient>): Promise<RegisteredClient>;
  /** Removes a client that the authorization server no longer knows. */
  forget(key: ClientRegistrationKey): Promise<void>;
}

/** A step of connecting that needs the user's browser. */
export interface AuthorizationBegun {
  /** The URL to which the browser is redirected. It holds the state. */
  readonly authorizationUrl: Secret<string>;
  /** Sealed until the callback, then used once: the PKCE verifier, the temporary token's secret. */
  readonly secrets: Readonly<Record<string, Secret<string>>>;
}

/** The input of the first step of an authorization. */
export interface BeginAuthorization<Auth extends BaseAuth> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly state: Secret<string>;
  readonly redirectUri: string;
}

/** The input of the last step of an authorization. */
export interface CompleteAuthorization<Auth extends BaseAuth> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly callback: ResponseParameters;
  readonly secrets: Readonly<Record<string, Secret<string>>>;
  readonly redirectUri: string;
}

/** The account at the provider that granted access, as the provider names it. */
export interface Identity {
  /** The provider's id of the user. */
  readonly user: string;
  /** The provider's id of the workspace, team or company. Null = unknown. */
  readonly workspace: string | null;
  /** For people: an e-mail address or a login. Null = unknown. */
  readonly name: string | null;
}

/** The result of an authorization. */
export interface Authorized<Credentials extends BaseCredentials> {
  readonly credentials: Credentials;
  /** Values of the callback or the token response that become the connection's `config.*`. */
  readonly config: JsonObject;
  /** Only from responses of the provider. A browser cannot change it. */
  readonly identity: Identity | undefined;
  /** The scopes that were asked for. */
  readonly requestedScopes: readonly string[];
}

/** A code that the user enters on another device (RFC 8628 §3.2). Times in seconds. */
export interface DeviceCode {
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | undefined;
  readonly expiresIn: number;
  readonly interval: number;
  /** Sealed until the user has agreed. */
  readonly secrets: Readonly<Record<string, Secret<string>>>;
}

/** Values that the user was prompted for. */
export interface PromptedValues<Auth extends BaseAuth> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly values: Secret<JsonObject>;
}

/** A request that succeeds only with valid credentials. It is sent before they are stored. */
export interface VerificationRequest {
  readonly method: 'GET' | 'POST';
  /** Relative to base_url. */
  readonly endpoint: string;
  /** Statuses other than 2xx that prove credentials: the API recognizes them and says what they may not do. */
  readonly accept_statuses: readonly number[];
}

/** A secret of the application, by its placeholder. */
export type ApplicationSecret = 'oauth_client_secret' | 'app_api_key';

/** A URL of `auth`, and what is sent to it. */
export interface AuthEndpoint {
  /** The path of its key in `auth`. */
  readonly key: readonly string[];
  readonly url: Template;
  /** Secrets of the application that the endpoint receives, or that sign what it receives. */
  readonly receives: readonly ApplicationSecret[];
  /** Whether it is called before the provider's first response. */
  readonly isFirst: boolean;
  /** Whether the provider only sends the browser there, so that it receives no request of ours. */
  readonly isCallback?: boolean;
}

/** Settings of an Integration that an auth mode may require. */
export type ClientSetting = 'oauth_client_id' | 'oauth_client_secret' | 'oauth_scopes' | 'client_certificate';

/**
 * One way to authenticate. Everything in which `auth_mode`s differ is here, in one file or folder for each mode.
 *
 * To add a mode, add a file to this folder and a line to `registry.ts`. Members are methods, so a mode of specific
 * types fits the registry's general type. Each mode receives only what its own schemas produced.
 */
export interface AuthMode<Auth extends BaseAuth = BaseAuth, Credentials extends BaseCredentials = BaseCredentials> {
  readonly name: string;
  /** The keys of `auth` other than `auth_mode`. */
  authShape(fields: Fields): z.ZodRawShape;
  /** Returns every URL to which this mode, or its provider, sends requests or browsers, except base_url. */
  endpoints(auth: Auth): readonly AuthEndpoint[];
  /**
   * Returns the application's secrets that sign API requests, so that base_url receives their signatures. Absent =
   * none.
   */
  signsWith?(auth: Auth): readonly ApplicationSecret[];
  /** Reports faults that concern several keys together. */
  checkAuth?(auth: Auth): { key: string; message: string }[];
  /** Returns the settings outside `auth` that must be present. */
  requiredSettings?(auth: Auth): readonly ClientSetting[];
  /** Returns the scopes of an Integration that names none; undefined if it has to name them. */
  defaultScopes?(auth: Auth): readonly string[] | undefined;
  /** Absent if the provider's responses never name scopes. */
  readonly scopes?: {
    /** Returns the scopes that were granted; undefined if the provider did not say. */
    granted(credentials: Credentials, integration: Integration<Auth>): readonly string[] | undefined;
    /** Returns the scopes that a granted one includes, by the granted one. `*` stands for every grant. */
    implied(auth: Auth): Readonly<Record<string, readonly string[]>>;
    /** Whether a new authorization keeps the scopes of earlier ones, so that only new ones need to be asked for. */
    isIncremental(auth: Auth): boolean;
  };
  /** Explains, by placeholder, why a placeholder has no value with this `auth`. */
  unavailablePlaceholders?(auth: Auth): Readonly<Record<string, string>>;
  /** Parses credentials as registerConnection takes them. The output is stored. */
  readonly credentialsInput: z.ZodType<Credentials>;
  /** Parses stored credentials. */
  readonly storedCredentials: z.ZodType<Credentials>;
  /** Members of the credentials that are milliseconds since the epoch. */
  readonly times: readonly string[];
  /** The placeholders that this mode adds to `requests`, each with its value. */
  readonly placeholders: Record<string, PlaceholderValue<Auth, Credentials>>;
  /**
   * Returns the headers that sign one request. Absent if placeholders alone authorize. It is not called if the
   * Integration configures an `Authorization` header.
   */
  sign?(request: SignableRequest, signing: Signing<Auth, Credentials>): Record<string, string>;
  /** Present if the user is prompted for values, so that a page may submit them. */
  readonly prompted?: {
    /** Returns the fields to prompt for; undefined if this Integration prompts for nothing. */
    fields(integration: Integration<Auth>): InputFields | undefined;
    /** Turns the values into credentials, with requests to the provider if needed. Throws `invalid_credentials`. */
    accept(prompted: PromptedValues<Auth>, context: AuthModeContext): Promise<Credentials>;
    verification(integration: Integration<Auth>): VerificationRequest | undefined;
  };
  /** Absent if no browser is needed. */
  readonly authorization?: {
    applies(integration: Integration<Auth>): boolean;
    /** Returns the names of `config` that the provider supplies. */
    suppliedConfig(integration: Integration<Auth>): readonly string[];
    /** Returns those of them that arrive through the user's browser, which can change them. */
    configFromBrowser(integration: Integration<Auth>): readonly string[];
    begin(request: BeginAuthorization<Auth>, context: AuthModeContext): Promise<AuthorizationBegun>;
    complete(request: CompleteAuthorization<Auth>, context: AuthModeContext): Promise<Authorized<Credentials>>;
    /** Whether the authorization server sends its response by POST (OAuth 2.0 Form Post Response Mode). */
    usesFormPost(integration: Integration<Auth>): boolean;
  };
  /** Absent if devices without a browser cannot be authorized. */
  readonly device?: {
    begin(
      request: { integration: Integration<Auth>; config: AdditionalConfig },
      context: AuthModeContext,
    ): Promise<DeviceCode>;
    poll(
      request: {
        integration: Integration<Auth>;
        config: AdditionalConfig;
        secrets: Readonly<Record<string, Secret<string>>>;
      },
      context: AuthModeContext,
    ): Promise<Authorized<Credentials> | 'authorization_pending' | 'slow_down'>;
  };
  /** Absent if the provider never issues credentials without the user. */
  readonly issuance?: {
    /** Whether this Integration's credentials are issued to the application itself. */
    applies(integration: Integration<Auth>): boolean;
    issue(
      request: { integration: Integration<Auth>; config: AdditionalConfig },
      context: AuthModeContext,
    ): Promise<Credentials>;
  };
  /** Absent if credentials cannot be revoked. */
  readonly revocation?: {
    /** Whether this Integration's provider has a revocation endpoint. */
    applies(integration: Integration<Auth>): boolean;
    revoke(request: StoredCredentials<Auth, Credentials>, context: AuthModeContext): Promise<void>;
  };
  /** Absent if credentials do not expire. */
  readonly refresh?: {
    /** Whether these credentials hold what a refresh needs. */
    isRefreshable(credentials: Credentials, integration: Integration<Auth>): boolean;
    /** Returns when to refresh before the next use, in milliseconds since the epoch; undefined = never. */
    dueAt(credentials: Credentials, integration: Integration<Auth>): number | undefined;
    /**
     * Returns when to refresh so that an unused refresh token does not expire, in milliseconds since the epoch;
     * undefined = never.
     */
    keepAliveAt?(credentials: Credentials, integration: Integration<Auth>): number | undefined;
    /** Returns when the credentials expire, in milliseconds since the epoch; undefined = unknown. */
    expiresAt(credentials: Credentials): number | undefined;
    /** Returns by how many milliseconds they may expire earlier: the time that their response took. */
    responseTookMs?(credentials: Credentials): number;
    refresh(request: StoredCredentials<Auth, Credentials>, context: AuthModeContext): Promise<Credentials>;
  };
}

/** A request that lacks only its signature. Header names are in lower case. */
export interface SignableRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

/** The credentials that sign, and the clock and random source that make the signature unique. */
export interface Signing<Auth extends BaseAuth, Credentials extends BaseCredentials> {
  readonly credentials: Credentials;
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly context: Pick<AuthModeContext, 'now' | 'randomToken'>;
}

/** The value of a placeholder. It is written as a method, like all of AuthMode. */
type PlaceholderValue<Auth extends BaseAuth, Credentials extends BaseCredentials> = {
  of(credentials: Credentials, integration: Integration<Auth>): MaybeSecret;
}['of'];

/** Stored credentials, with their Integration and settings. */
export interface StoredCredentials<Auth extends BaseAuth, Credentials extends BaseCredentials> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly credentials: Credentials;
}

/** Placeholders that `requests` may use with every mode. */
export const COMMON_PLACEHOLDERS: PlaceholderScope = { names: ['app_api_key'], prefixes: ['raw.', 'config.'] };

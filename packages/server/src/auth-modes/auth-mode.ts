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

/** Anything JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = Record<string, JsonValue>;

/** What every `auth` section has. */
export interface BaseAuth {
  readonly auth_mode: string;
  /** Largest response of a call to the provider, in bytes; undefined = the default. */
  readonly max_response_bytes?: number | undefined;
}

/** What every set of credentials has. */
export interface BaseCredentials {
  /** The token endpoint's last answer, or what was registered. */
  readonly raw: Secret<JsonObject>;
  /** How they came about, as far as refreshing them needs it; never shown. */
  readonly grant?: object | undefined;
}

/** An integration of `integrations.yaml`, merged with its Blueprint, validated and ready for use. */
export interface Integration<Auth extends BaseAuth = BaseAuth> {
  readonly name: string;
  readonly blueprint: string | undefined;
  readonly oauthClientId: string | undefined;
  readonly oauthClientSecret: Secret<string> | undefined;
  readonly oauthScopes: readonly string[];
  readonly appApiKey: Secret<string> | undefined;
  readonly clientCertificate: Secret<ClientCertificate> | undefined;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** For a whole request whose answer is not streamed; 0 = none. */
  readonly httpRequestTimeoutSeconds: number;
  readonly timeouts: RequestTimeouts;
  readonly limits: ConcurrencyLimits;
  readonly allowHttp: boolean;
  /** Whether its connections share HTTP/1.1 sockets, and trust the API to keep their responses apart. */
  readonly shareSockets: boolean;
  /** Whether its connections, or a Blueprint of the user's own, choose hosts, so that only public addresses may be reached. */
  readonly isGuarded: boolean;
  /** Where the operator's own configuration leads. Every other origin was chosen by a connection or a provider's response. */
  readonly configuredOrigins: ReadonlySet<string>;
  /** Refreshes at the same time, in one server. */
  readonly refreshConcurrency: number;
  /** A provider that refuses a refresh for so long, and gives no reason, means that the grant is gone; 0 = never. */
  readonly reconnectAfterRefusedDays: number;
  readonly auth: Auth;
  /** What each connection brings beside its credentials. */
  readonly configFields: InputFields;
  readonly requests: RequestConfig;
}

/** The `requests` section. Names are as configured; header names compare without case. */
export interface RequestConfig {
  readonly baseUrl: Template;
  readonly headers: ReadonlyMap<string, Template>;
  readonly params: ReadonlyMap<string, Template>;
  readonly rateLimit: RateLimit | undefined;
  /** Origins beside the API's own that its redirects may lead to. */
  readonly redirectOrigins: readonly string[];
  readonly pagination: Pagination | undefined;
}

/** The connection's own settings, as `${config.x}` reads them. */
export type AdditionalConfig = JsonObject;

/** What an auth mode needs to talk to an authorization server. */
export interface AuthModeContext {
  readonly http: OAuthHttp;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A fresh value of at least 256 bits, base64url. */
  readonly randomToken: () => string;
  readonly authorizationServers: MetadataCache<AuthorizationServerMetadata>;
  readonly protectedResources: MetadataCache<ProtectedResourceMetadata>;
  readonly registrations: ClientRegistrations;
}

/** What a dynamically registered client belongs to. */
export interface ClientRegistrationKey {
  readonly integration: string;
  readonly issuer: string;
  readonly redirectUri: string;
}

/** Keeps the clients that were registered dynamically (RFC 7591). */
export interface ClientRegistrations {
  /** The client of a key; `register` is called where there is none, or its secret expired. */
  findOrRegister(key: ClientRegistrationKey, register: () => Promise<RegisteredClient>): Promise<RegisteredClient>;
  /** For a client the authorization server no longer knows. */
  forget(key: ClientRegistrationKey): Promise<void>;
}

/** One step of a user's connecting that needs his browser. */
export interface AuthorizationBegun {
  /** Where the browser is sent. */
  readonly authorizationUrl: string;
  /** Sealed until the callback, then used once: PKCE verifier, request-token secret. */
  readonly secrets: Readonly<Record<string, Secret<string>>>;
}

export interface BeginAuthorization<Auth extends BaseAuth> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly state: string;
  readonly redirectUri: string;
}

export interface CompleteAuthorization<Auth extends BaseAuth> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly callback: ResponseParameters;
  readonly secrets: Readonly<Record<string, Secret<string>>>;
  readonly redirectUri: string;
}

/** What the authorization server gave. */
export interface Authorized<Credentials extends BaseCredentials> {
  readonly credentials: Credentials;
  /** Values of the callback or the token answer that become the connection's `config.*`. */
  readonly config: JsonObject;
}

/** A code for the user to enter on another device (RFC 8628 §3.2). Times in seconds. */
export interface DeviceCode {
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | undefined;
  readonly expiresIn: number;
  readonly interval: number;
  /** Sealed until the user has agreed. */
  readonly secrets: Readonly<Record<string, Secret<string>>>;
}

/** What the user typed in. */
export interface PromptedValues<Auth extends BaseAuth> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly values: Secret<JsonObject>;
}

/** A request that only right credentials can make, sent before they are stored. */
export interface VerificationRequest {
  readonly method: 'GET' | 'POST';
  /** Relative to base_url. */
  readonly endpoint: string;
  /** Statuses beside 2xx that prove credentials: the API knows them, and says what they may not do. */
  readonly accept_statuses: readonly number[];
}

/** A secret of the application's, by its placeholder. */
export type ApplicationSecret = 'oauth_client_secret' | 'app_api_key';

/** A URL of `auth`, and what it is sent. */
export interface AuthEndpoint {
  readonly url: Template;
  /** Secrets of the application's that it receives, or that sign what it receives. */
  readonly receives: readonly ApplicationSecret[];
  /** Whether it is called before the provider has said anything. */
  readonly isFirst: boolean;
}

/** Settings of an Integration that a mode may demand. */
export type ClientSetting = 'oauth_client_id' | 'oauth_client_secret' | 'oauth_scopes' | 'client_certificate';

/**
 * One way to authenticate: everything that differs between `auth_mode`s, in one file each.
 *
 * Adding a mode is adding a file to this folder and a line to `registry.ts`. Members are methods so that a mode of
 * specific types fits the registry's general one; each mode only ever receives what its own schemas produced.
 */
export interface AuthMode<Auth extends BaseAuth = BaseAuth, Credentials extends BaseCredentials = BaseCredentials> {
  readonly name: string;
  /** The keys of `auth` beside `auth_mode`. */
  authShape(fields: Fields): z.ZodRawShape;
  /** Every URL that requests of this mode go to, and that browsers are sent to; base_url is not among them. */
  endpoints(auth: Auth): readonly AuthEndpoint[];
  /** Faults that only show when several keys are seen together. */
  checkAuth?(auth: Auth): { key: string; message: string }[];
  /** Settings beside `auth` that must be there. */
  requiredSettings?(auth: Auth): readonly ClientSetting[];
  /** Why placeholders of this mode have no value under some `auth`, by their names. */
  unavailablePlaceholders?(auth: Auth): Readonly<Record<string, string>>;
  /** Credentials as registerConnection takes them; the output is what is stored. */
  readonly credentialsInput: z.ZodType<Credentials>;
  /** Credentials as they are stored. */
  readonly storedCredentials: z.ZodType<Credentials>;
  /** Members of the credentials that are milliseconds since the epoch. */
  readonly times: readonly string[];
  /** Request-time names this mode adds, each with its value. */
  readonly placeholders: Record<string, PlaceholderValue<Auth, Credentials>>;
  /**
   * Headers that sign one request, made afresh for each. Absent where placeholders alone authorize; not called when the
   * Integration configures an `Authorization` header of its own.
   */
  sign?(request: SignableRequest, signing: Signing<Auth, Credentials>): Record<string, string>;
  /** Present where the user types something in, so that a page may hand it over. */
  readonly prompted?: {
    /** What he is asked for; undefined where this Integration asks for nothing. */
    fields(integration: Integration<Auth>): InputFields | undefined;
    /** Turns it into credentials, asking the provider where it takes more. Throws `invalid_credentials`. */
    accept(prompted: PromptedValues<Auth>, context: AuthModeContext): Promise<Credentials>;
    verification(integration: Integration<Auth>): VerificationRequest | undefined;
  };
  /** Absent where the user has nothing to authorize in a browser. */
  readonly authorization?: {
    applies(integration: Integration<Auth>): boolean;
    /** Names of `config` that the provider brings. */
    bringsConfig(integration: Integration<Auth>): readonly string[];
    /** Those of them that come by the user's browser, which can change them. */
    bringsByBrowser(integration: Integration<Auth>): readonly string[];
    begin(request: BeginAuthorization<Auth>, context: AuthModeContext): Promise<AuthorizationBegun>;
    complete(request: CompleteAuthorization<Auth>, context: AuthModeContext): Promise<Authorized<Credentials>>;
    /** Whether the authorization server answers by POST (OAuth 2.0 Form Post Response Mode). */
    usesFormPost(integration: Integration<Auth>): boolean;
  };
  /** Absent where no device without a browser can be authorized. */
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
  /** Absent where credentials never come from the provider without the user. */
  readonly issuance?: {
    /** Whether this integration's credentials are issued to the application itself. */
    applies(integration: Integration<Auth>): boolean;
    issue(
      request: { integration: Integration<Auth>; config: AdditionalConfig },
      context: AuthModeContext,
    ): Promise<Credentials>;
  };
  /** Absent where the provider has no way to give credentials back. */
  readonly revocation?: {
    /** Whether this integration's provider has a revocation endpoint. */
    applies(integration: Integration<Auth>): boolean;
    revoke(request: HeldCredentials<Auth, Credentials>, context: AuthModeContext): Promise<void>;
  };
  /** Absent where credentials do not expire. */
  readonly refresh?: {
    /** Whether there is something to refresh these credentials with. */
    isRefreshable(credentials: Credentials, integration: Integration<Auth>): boolean;
    /** Milliseconds since the epoch from which on the credentials should be refreshed before use; undefined = never. */
    dueAt(credentials: Credentials, integration: Integration<Auth>): number | undefined;
    /** Milliseconds since the epoch from which on what refreshes them might die of disuse; undefined = never. */
    keepAliveAt?(credentials: Credentials, integration: Integration<Auth>): number | undefined;
    /** Milliseconds since the epoch at which they stop working; undefined = unknown. */
    expiresAt(credentials: Credentials): number | undefined;
    /** Milliseconds by which they may stop working earlier, since so long their answer took. */
    responseTookMs?(credentials: Credentials): number;
    refresh(request: HeldCredentials<Auth, Credentials>, context: AuthModeContext): Promise<Credentials>;
  };
}

/** A request that is complete but for its signature. Header names are in lower case. */
export interface SignableRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

/** Whose signature, and what makes it unique. */
export interface Signing<Auth extends BaseAuth, Credentials extends BaseCredentials> {
  readonly credentials: Credentials;
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly context: Pick<AuthModeContext, 'now' | 'randomToken'>;
}

/** The value of a placeholder. Written as a method, as all of AuthMode is. */
type PlaceholderValue<Auth extends BaseAuth, Credentials extends BaseCredentials> = {
  of(credentials: Credentials, integration: Integration<Auth>): MaybeSecret;
}['of'];

export interface HeldCredentials<Auth extends BaseAuth, Credentials extends BaseCredentials> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly credentials: Credentials;
}

/** Names every mode has in `requests`. */
export const COMMON_PLACEHOLDERS: PlaceholderScope = { names: ['app_api_key'], prefixes: ['raw.', 'config.'] };

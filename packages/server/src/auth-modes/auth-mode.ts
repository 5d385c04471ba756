import type { z } from 'zod';
import type { Fields, PlaceholderScope } from '../schema/fields.ts';
import type { Template } from '../schema/template.ts';
import type { OAuthHttp } from '../oauth/oauth-http.ts';
import type { Secret } from '../vault/secret.ts';
import type { VerificationRequest } from './verification.ts';

/** Anything JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = Record<string, JsonValue>;

/** What every `auth` section has. */
export interface BaseAuth {
  readonly auth_mode: string;
}

/** What every set of credentials has: `raw` is the token endpoint's last answer, or what was registered. */
export interface BaseCredentials {
  readonly raw: JsonObject;
}

/** An integration of `integrations.yaml`, merged with its Blueprint, validated and ready for use. */
export interface Integration<Auth extends BaseAuth = BaseAuth> {
  readonly name: string;
  readonly blueprint: string | undefined;
  readonly oauthClientId: string | undefined;
  readonly oauthClientSecret: Secret<string> | undefined;
  readonly oauthScopes: readonly string[];
  readonly appApiKey: Secret<string> | undefined;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** 0 = none. */
  readonly httpRequestTimeoutSeconds: number;
  readonly allowHttp: boolean;
  readonly auth: Auth;
  readonly requests: RequestConfig;
}

/** The `requests` section. Names are as configured; header names compare without case. */
export interface RequestConfig {
  readonly baseUrl: Template;
  readonly headers: ReadonlyMap<string, Template>;
  readonly params: ReadonlyMap<string, Template>;
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
}

/** One step of a user's connecting that needs his browser. */
export interface AuthorizationBegun {
  /** Where the browser is sent. */
  readonly authorizationUrl: string;
  /** Sealed until the callback, then used once: PKCE verifier, request-token secret. */
  readonly secrets: Record<string, string>;
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
  readonly callback: ReadonlyMap<string, string>;
  readonly secrets: Record<string, string>;
  readonly redirectUri: string;
}

/**
 * One way to authenticate: everything that differs between `auth_mode`s, in one file each.
 *
 * Adding a mode is adding a file to this folder and a line to `registry.ts`. Members are methods so that a mode of
 * specific types fits the registry's general one; each mode only ever receives what its own schemas produced.
 */
export interface AuthMode<Auth extends BaseAuth = BaseAuth, Credentials extends BaseCredentials = BaseCredentials> {
  readonly name: string;
  /** Whether `oauth_client_id` and its companions are demanded. */
  readonly usesOAuthClient: boolean;
  /** The keys of `auth` beside `auth_mode`. */
  authShape(fields: Fields): z.ZodRawShape;
  /** Faults that only show when several keys are seen together. */
  checkAuth?(auth: Auth): { key: string; message: string }[];
  /** Whether the secret may be left out: a public client (RFC 6749 §2.1). */
  isPublicClient?(auth: Auth): boolean;
  /** Credentials as registerConnection takes them; the output is what is stored. */
  readonly credentialsInput: z.ZodType<Credentials>;
  /** Credentials as they are stored. */
  readonly storedCredentials: z.ZodType<Credentials>;
  /** Request-time names this mode adds, each with its value. */
  readonly placeholders: Record<string, PlaceholderValue<Auth, Credentials>>;
  /**
   * Headers that sign one request, made afresh for each. Absent where placeholders alone authorize; not called when the
   * Integration configures an `Authorization` header of its own.
   */
  sign?(request: SignableRequest, signing: Signing<Auth, Credentials>): Record<string, string>;
  /** Present where the user types the credentials in, so that a page may hand them over. */
  readonly entered?: { verification(integration: Integration<Auth>): VerificationRequest | undefined };
  /** Absent where the user has nothing to authorize in a browser. */
  readonly authorization?: {
    begin(request: BeginAuthorization<Auth>, context: AuthModeContext): Promise<AuthorizationBegun>;
    complete(request: CompleteAuthorization<Auth>, context: AuthModeContext): Promise<Credentials>;
    /** Whether the authorization server answers by POST (OAuth 2.0 Form Post Response Mode). */
    usesFormPost(integration: Integration<Auth>): boolean;
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
  readonly renewal?: {
    /** Milliseconds since the epoch from which on the credentials should be renewed before use; undefined = never. */
    dueAt(credentials: Credentials, integration: Integration<Auth>): number | undefined;
    /** Milliseconds since the epoch at which they stop working; undefined = unknown. */
    expiresAt(credentials: Credentials): number | undefined;
    renew(request: HeldCredentials<Auth, Credentials>, context: AuthModeContext): Promise<Credentials>;
  };
}

/** A request that is complete but for its signature. Header names are in lower case. */
export interface SignableRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Whose signature, and what makes it unique. */
export interface Signing<Auth extends BaseAuth, Credentials extends BaseCredentials> {
  readonly credentials: Credentials;
  readonly integration: Integration<Auth>;
  readonly context: Pick<AuthModeContext, 'now' | 'randomToken'>;
}

/** The value of a placeholder. Written as a method, as all of AuthMode is. */
type PlaceholderValue<Auth extends BaseAuth, Credentials extends BaseCredentials> = {
  of(credentials: Credentials, integration: Integration<Auth>): string;
}['of'];

export interface HeldCredentials<Auth extends BaseAuth, Credentials extends BaseCredentials> {
  readonly integration: Integration<Auth>;
  readonly config: AdditionalConfig;
  readonly credentials: Credentials;
}

/** Names every mode has in `requests`. */
export const COMMON_PLACEHOLDERS: PlaceholderScope = { names: ['app_api_key'], prefixes: ['raw.', 'config.'] };

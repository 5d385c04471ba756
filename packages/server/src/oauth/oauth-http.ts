import type { MaybeSecret, Secret } from '../vault/secret.ts';

/** A certificate that the client presents, and its key, both in PEM (RFC 8705). */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** A request to an authorization server. Only the HTTP client reveals its secrets, to write them to the wire. */
export interface OAuthHttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** A secret if the query or the path may hold one. */
  readonly url: MaybeSecret;
  readonly headers: Readonly<Record<string, MaybeSecret>>;
  readonly body?: MaybeSecret;
  readonly clientCertificate?: Secret<ClientCertificate> | undefined;
  /** Largest body of the response, in bytes; default: {@link MAX_RESPONSE_BYTES}. */
  readonly maxBytes?: number | undefined;
}

/** Largest response of an authorization server, in bytes. It is parsed, stored and quoted as a whole. */
export const MAX_RESPONSE_BYTES = 65_536;

/** The response. A body above the limit is an error. */
export interface OAuthHttpResponse {
  readonly status: number;
  readonly contentType: string;
  /** Milliseconds from sending the request to the end of the response. */
  readonly tookMs?: number;
  /** Milliseconds that `Retry-After` asks to wait. */
  readonly retryAfterMs?: number | undefined;
  /** The challenge of a 401 (RFC 9110 §11.6.1). */
  readonly wwwAuthenticate?: string;
  /** The target of a redirect. Its query may hold a code. */
  readonly location?: Secret<string> | undefined;
  /** It may hold tokens. `readBody` parses it. */
  readonly body: Secret<string>;
}

/**
 * Sends a request to an authorization server. Implementations follow no redirect, so credentials stay where they were
 * sent (RFC 9700 §4.11), and they limit time and size.
 */
export type OAuthHttp = (request: OAuthHttpRequest) => Promise<OAuthHttpResponse>;

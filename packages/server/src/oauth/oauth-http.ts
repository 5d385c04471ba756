/** A call to an authorization server. */
export interface OAuthHttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** Its answer; the body is cut off at the sender's limit, never unbounded. */
export interface OAuthHttpResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/**
 * Sends a call to an authorization server. Implementations follow no redirect (RFC 9700 §4.11: credentials stay where
 * they were meant for) and bound time and size.
 */
export type OAuthHttp = (request: OAuthHttpRequest) => Promise<OAuthHttpResponse>;

import { NangoError, type NangoErrorOptions } from '../errors/nango-error.ts';
import type { ErrorCode } from '../errors/registry.ts';

const MAX_EXCERPT = 300;

/** An authorization server's refusal, with its own `error` code (RFC 6749 §4.1.2.1, §5.2) where it gave one. */
export class OAuthResponseError extends NangoError {
  /** Such as `invalid_grant`; undefined where the answer had none. */
  readonly error: string | undefined;
  /** The HTTP status of the answer; undefined for an authorization response, which has none. */
  readonly httpStatus: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    details: { error?: string | undefined; httpStatus?: number | undefined } & NangoErrorOptions,
  ) {
    super(code, message, details);
    this.error = details.error;
    this.httpStatus = details.httpStatus;
  }
}

/**
 * A short, one-line excerpt of a provider's text: without markup and control characters, and without any of the
 * `secrets` that were sent, should the provider echo them.
 */
export function excerpt(text: string, secrets: readonly string[] = []): string {
  let result = text.replace(/<(script|style)[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ');
  for (const secret of secrets) {
    if (secret.length < 4) continue;
    result = result.replaceAll(secret, '[secret]').replaceAll(encodeURIComponent(secret), '[secret]');
  }
  const line = result.replace(/[\p{Cc}\u2028\u2029\s]+/gu, ' ').trim();
  return line.length > MAX_EXCERPT ? `${line.slice(0, MAX_EXCERPT)}…` : line;
}

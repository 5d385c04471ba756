import { ERRORS, type ErrorCode } from './registry.ts';

/** What an error may carry beside its code and message. */
export interface NangoErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which a retry makes sense (RFC 9110 §10.2.3 Retry-After). */
  readonly retryAfter?: number;
}

/**
 * The one error class this server throws on purpose.
 *
 * `message` is meant for the caller and says what to do; it never holds a secret. `cause` is for the log alone.
 */
export class NangoError extends Error {
  override readonly name = 'NangoError';
  readonly code: ErrorCode;
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: NangoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfter = options.retryAfter;
  }

  /** The HTTP status this error is answered with. */
  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** The message of anything that was thrown, as text for a person. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

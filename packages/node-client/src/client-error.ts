import type { NangoErrorCode } from './error-codes.ts';

/** The code of an error: one of the server, one of this client, or one of a newer server. */
export type NangoErrorType = NangoErrorCode | 'network_error' | 'invalid_input' | 'invalid_signature' | (string & {});

/** The error that every method rejects with. */
export class NangoClientError extends Error {
  override readonly name = 'NangoClientError';
  readonly success = false;
  /** The message, under the name that results use. */
  readonly errorMsg: string;
  /** A stable code: the server's, or `network_error` and `invalid_input` of this client. */
  readonly type: NangoErrorType;
  /** The HTTP status; undefined if there was no response. */
  readonly status: number | undefined;
  /** Identifies the request in the server's log. */
  readonly requestId: string | undefined;

  constructor(
    type: NangoErrorType,
    message: string,
    details: { status?: number; requestId?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.errorMsg = message;
    this.type = type;
    this.status = details.status;
    this.requestId = details.requestId;
  }
}

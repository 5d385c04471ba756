import { ERRORS, type ErrorCode } from './registry.ts';

/** What an error may carry beside its code and message. */
export interface NangoErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which a retry makes sense (RFC 9110 §10.2.3 Retry-After). */
  readonly retryAfter?: number | undefined;
  /** Whether the log has this failure already, so that whoever answers with it does not write it again. */
  readonly isLogged?: boolean;
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
  readonly isLogged: boolean;

  constructor(code: ErrorCode, message: string, options: NangoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.isLogged = options.isLogged ?? false;
  }

  /** The HTTP status this error is answered with. */
  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** The message of anything that was thrown, as text for a person. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return fileProblem(thrown) ?? thrown.message;
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: 'cannot be opened: permission denied',
  EEXIST: 'exists already',
  EISDIR: 'is a folder, not a file',
  ENOENT: 'does not exist',
  ENOSPC: 'cannot be written: the disk is full',
  ENOTDIR: 'cannot be there: a part of that path is a file, not a folder',
  EPERM: 'cannot be changed: permission denied',
  EROFS: 'cannot be written: the file system is read-only',
};

/** What Node's file functions throw, in words; undefined for any other error. */
function fileProblem(error: Error): string | undefined {
  if (!('code' in error && 'path' in error && typeof error.path === 'string')) return undefined;
  const problem = FILE_PROBLEMS[String(error.code)];
  return problem && `${error.path} ${problem}`;
}

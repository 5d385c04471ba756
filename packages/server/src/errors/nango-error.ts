import { ERRORS, type ErrorCode } from './registry.ts';

/** Optional facts of an error. */
export interface NangoErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which a retry may succeed (RFC 9110 §10.2.3 Retry-After). */
  readonly retryAfter?: number | undefined;
  /** Whether the error was already logged. Then it is not logged again. */
  readonly isLogged?: boolean;
}

/**
 * The only error class that this server throws on purpose.
 *
 * `message` is for the caller and says what to do. It never contains a secret. `cause` is only for the log.
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

  /** The HTTP status of the error's response. */
  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** What callers read about an error that is not a {@link NangoError}. */
export const INTERNAL_ERROR = {
  type: 'internal_error',
  message: 'The server had an internal error. The server’s log shows the cause.',
} as const;

/** Returns the message of any thrown value, for people. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return fileMessage(thrown) ?? thrown.message;
}

/** Returns the code of any thrown value: of our errors, of errors of Node's file functions, or `internal_error`. */
export function codeOf(thrown: unknown): ErrorCode {
  if (thrown instanceof NangoError) return thrown.code;
  return (thrown instanceof Error ? fileProblemOf(thrown)?.code : undefined) ?? 'internal_error';
}

/** Our codes and messages for errors of Node's file functions, by Node's codes. */
const FILE_PROBLEMS: Readonly<Record<string, { readonly code: ErrorCode; readonly text: string }>> = {
  EACCES: { code: 'file_unreadable', text: 'cannot be opened: permission denied' },
  EEXIST: { code: 'file_exists', text: 'already exists' },
  EISDIR: { code: 'file_unreadable', text: 'is a folder, not a file' },
  ENOENT: { code: 'file_not_found', text: 'does not exist' },
  ENOSPC: { code: 'file_unwritable', text: 'cannot be written: the disk is full' },
  ENOTDIR: { code: 'file_not_found', text: 'does not exist: a part of that path is a file, not a folder' },
  EPERM: { code: 'file_unwritable', text: 'cannot be changed: permission denied' },
  EROFS: { code: 'file_unwritable', text: 'cannot be written: the file system is read-only' },
};

/** Returns a message for an error of Node's file functions; undefined for any other error. */
function fileMessage(error: Error): string | undefined {
  const problem = fileProblemOf(error);
  return problem && 'path' in error ? `${String(error.path)} ${problem.text}` : undefined;
}

function fileProblemOf(error: Error): (typeof FILE_PROBLEMS)[string] | undefined {
  if (!('code' in error && 'path' in error && typeof error.path === 'string')) return undefined;
  return FILE_PROBLEMS[String(error.code)];
}

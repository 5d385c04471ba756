import type { IncomingMessage } from 'node:http';
import { NangoError } from '../errors/nango-error.ts';
import { CallerGoneError, CallTooLongError } from './call-errors.ts';

const MAX_REPLAYABLE_BYTES = 65_536;
const MAX_SIGNED_BYTES = 10_485_760;

/** A request's body: none, bytes that can be sent again, or a stream that can be sent once. */
export interface CallBody {
  readonly bytes?: Buffer;
  readonly stream?: IncomingMessage;
  readonly contentLength?: string;
}

/** The body of a request that has none. */
export const NO_BODY: CallBody = {};

/** Whether a request has a body, which may be empty (RFC 9112 §6). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

/** Limits of the time that a caller takes to send a body. */
export interface BodyTimes {
  /** The time at which the call must end, in `performance.now()` time; undefined = never. */
  readonly endsAt: number | undefined;
  /** Milliseconds without data after which the caller counts as gone. */
  readonly callerIdleMs: number;
}

/** How a body is taken. */
export interface BodyOptions {
  /** Whether the auth mode signs the body. */
  readonly signed: boolean;
  /** Called before the body is read, if there is one. */
  readonly onBody: () => void;
  readonly onBytes: (count: number) => void;
  readonly times: BodyTimes;
}

/**
 * Takes the body of a request. A small body is read first, so that it can be sent again. A body that is `signed` must
 * be in memory. Everything else is streamed; `onBytes` counts it. Throws `invalid_request` if a signed body is too
 * large, {@link CallTooLongError} and {@link CallerGoneError} if it does not arrive in time.
 */
export async function takeBody(
  incoming: IncomingMessage,
  { signed, onBody, onBytes, times }: BodyOptions,
): Promise<CallBody> {
  if (!hasBody(incoming)) return NO_BODY;
  onBody();
  const contentLength = incoming.headers['content-length'];
  const chunked = incoming.headers['transfer-encoding'] !== undefined;
  const size = chunked ? Number.POSITIVE_INFINITY : Number(contentLength);
  if (signed || size <= MAX_REPLAYABLE_BYTES) {
    const bytes = await readInTime(incoming, signed ? MAX_SIGNED_BYTES : MAX_REPLAYABLE_BYTES, times);
    onBytes(bytes.length);
    return { bytes };
  }
  // A stream that ended has as many bytes as it announced.
  if (contentLength === undefined || chunked) incoming.on('data', (chunk: Buffer) => onBytes(chunk.length)).pause();
  else onBytes(size);
  endWhenIdle(incoming, times.callerIdleMs);
  return contentLength === undefined || chunked ? { stream: incoming } : { stream: incoming, contentLength };
}

async function readInTime(
  incoming: IncomingMessage,
  limit: number,
  { endsAt, callerIdleMs }: BodyTimes,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const deadline =
    endsAt === undefined
      ? undefined
      : setTimeout(() => reject(new CallTooLongError()), Math.max(endsAt - performance.now(), 0)).unref();
  const idle = setTimeout(() => reject(new CallerGoneError()), callerIdleMs).unref();
  const chunks: Buffer[] = [];
  let size = 0;
  const onData = (chunk: Buffer) => {
    idle.refresh();
    size += chunk.length;
    chunks.push(chunk);
    if (size > limit)
      reject(
        new NangoError(
          'invalid_request',
          `The body is larger than ${limit} bytes, which is the limit for an auth_mode that signs bodies.`,
        ),
      );
  };
  incoming
    .on('data', onData)
    .once('end', () => resolve(Buffer.concat(chunks)))
    .once('error', reject)
    .once('close', () => reject(new CallerGoneError()));
  try {
    return await promise;
  } finally {
    incoming.off('data', onData).pause();
    clearTimeout(deadline);
    clearTimeout(idle);
  }
}

/**
 * Ends the request if its caller sends nothing for one to two times `callerIdleMs` while the body is awaited. The time
 * does not count while the API reads slowly, because the caller then has to wait.
 */
function endWhenIdle(incoming: IncomingMessage, callerIdleMs: number): void {
  let isActive = true;
  let timer: NodeJS.Timeout;
  const check = () => {
    const isGone = !isActive && !incoming.isPaused();
    isActive = false;
    if (isGone) incoming.destroy(new CallerGoneError());
    else timer = setTimeout(check, callerIdleMs).unref();
  };
  check();
  incoming.on('data', () => (isActive = true)).pause();
  for (const event of ['end', 'close']) incoming.once(event, () => clearTimeout(timer));
}

import type { IncomingMessage } from 'node:http';
import { NangoError } from '../../errors/nango-error.ts';
import { CallerGoneError, CallTooLongError } from './proxy-exchange.ts';

const MAX_REPLAYABLE_BYTES = 65_536;
const MAX_SIGNED_BYTES = 10_485_760;

/** A request's body: nothing, bytes that can be sent again, or a stream that can be sent once. */
export interface ProxyBody {
  readonly bytes?: Buffer;
  readonly stream?: IncomingMessage;
  readonly contentLength?: string;
}

/** Whether a request has a body, an empty one included (RFC 9112 §6). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

/** Bounds of the time that a caller takes to send a body. */
export interface BodyTimes {
  /** `performance.now()` when the call has to be over; undefined = never. */
  readonly endsAt: number | undefined;
  /** Milliseconds that nothing may come although it is waited for. */
  readonly callerIdleMs: number;
}

/**
 * Takes the body of a request. A small one is read first, so that it can be sent again; one that is `signed` must be known
 * as a whole. Everything else is passed on as it comes; `onBytes` counts it. Throws `invalid_request` when a signed one is
 * too large, {@link CallTooLongError} and {@link CallerGoneError} when it does not come in time.
 */
export async function takeBody(
  request: IncomingMessage,
  { signed, onBytes, times }: { signed: boolean; onBytes: (count: number) => void; times: BodyTimes },
): Promise<ProxyBody> {
  const contentLength = request.headers['content-length'];
  const chunked = request.headers['transfer-encoding'] !== undefined;
  const size = chunked ? Number.POSITIVE_INFINITY : Number(contentLength);
  if (signed || size <= MAX_REPLAYABLE_BYTES) {
    const bytes = await readInTime(request, signed ? MAX_SIGNED_BYTES : MAX_REPLAYABLE_BYTES, times);
    onBytes(bytes.length);
    return { bytes };
  }
  // A stream that is sent to its end has as many bytes as it says.
  if (contentLength === undefined || chunked) request.on('data', (chunk: Buffer) => onBytes(chunk.length)).pause();
  else onBytes(size);
  endWhenIdle(request, times.callerIdleMs);
  return contentLength === undefined || chunked ? { stream: request } : { stream: request, contentLength };
}

async function readInTime(
  request: IncomingMessage,
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
      reject(new NangoError('invalid_request', `A body that this auth_mode signs may have at most ${limit} bytes.`));
  };
  request
    .on('data', onData)
    .once('end', () => resolve(Buffer.concat(chunks)))
    .once('error', reject)
    .once('close', () => reject(new CallerGoneError()));
  try {
    return await promise;
  } finally {
    request.off('data', onData).pause();
    clearTimeout(deadline);
    clearTimeout(idle);
  }
}

/**
 * A caller who sends nothing for one to two times `callerIdleMs`, although it is waited for, is gone; one who is made to wait
 * by the API is not.
 */
function endWhenIdle(request: IncomingMessage, callerIdleMs: number): void {
  let isActive = true;
  let timer: NodeJS.Timeout;
  const check = () => {
    const isGone = !isActive && !request.isPaused();
    isActive = false;
    if (isGone) request.destroy(new CallerGoneError());
    else timer = setTimeout(check, callerIdleMs).unref();
  };
  check();
  request.on('data', () => (isActive = true)).pause();
  for (const event of ['end', 'close']) request.once(event, () => clearTimeout(timer));
}

import type { IncomingMessage } from 'node:http';
import { NangoError } from '../../errors/nango-error.ts';

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

/**
 * Takes the body of a request. A small one is read first, so that it can be sent again; one that is `signed` must be known
 * as a whole. Everything else is passed on as it comes; `onBytes` counts it. Throws `invalid_request` when a signed one is
 * too large.
 */
export async function takeBody(
  request: IncomingMessage,
  { signed, onBytes }: { signed: boolean; onBytes: (count: number) => void },
): Promise<ProxyBody> {
  const contentLength = request.headers['content-length'];
  const chunked = request.headers['transfer-encoding'] !== undefined;
  const size = chunked ? Number.POSITIVE_INFINITY : Number(contentLength);
  if (signed || size <= MAX_REPLAYABLE_BYTES) {
    const bytes = await readBytes(request, signed ? MAX_SIGNED_BYTES : MAX_REPLAYABLE_BYTES);
    onBytes(bytes.length);
    return { bytes };
  }
  // A stream that is sent to its end has as many bytes as it says.
  if (contentLength === undefined || chunked) {
    request.on('data', (chunk: Buffer) => onBytes(chunk.length)).pause();
    return { stream: request };
  }
  onBytes(size);
  return { stream: request, contentLength };
}

async function readBytes(request: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit)
      throw new NangoError('invalid_request', `A body that this auth_mode signs may have at most ${limit} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

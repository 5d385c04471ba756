import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib';
import { NangoError } from '../errors/nango-error.ts';

// No server needs more codings, and each coding can multiply the work.
const MAX_CODINGS = 3;

type Decoder = (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const gunzipAsync: Decoder = promisify(gunzip);
const inflateAsync: Decoder = promisify(inflate);
const inflateRawAsync: Decoder = promisify(inflateRaw);
const identity: Decoder = (body) => Promise.resolve(body);

const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ['gzip', gunzipAsync],
  ['x-gzip', gunzipAsync],
  ['deflate', inflateEither],
  ['br', promisify(brotliDecompress)],
  ['zstd', promisify(zstdDecompress)],
  // Values that servers send for a body without coding.
  ...['identity', 'none', 'utf-8', 'utf8', 'binary', 'aws-chunked'].map((name) => [name, identity] as const),
]);

/**
 * Decodes content codings in the order in which they were applied (RFC 9110 §8.4). The result is bounded, so a small
 * response cannot become a large one. Throws `response_too_large` and `request_failed`.
 */
export async function decodeBody(
  body: Buffer,
  { contentEncoding, maxBytes }: { contentEncoding: string | string[] | undefined; maxBytes: number },
): Promise<Buffer> {
  if (contentEncoding === undefined || body.length === 0) return body;
  let decoded = body;
  for (const decoder of decodersOf(String(contentEncoding)).toReversed())
    decoded = await decodeOnce(decoded, decoder, maxBytes);
  return decoded;
}

function decodersOf(contentEncoding: string): Decoder[] {
  const codings = contentEncoding.slice(0, 200).toLowerCase().split(',');
  const named = codings.map((coding) => coding.trim()).filter((coding) => coding !== '');
  if (named.length > MAX_CODINGS)
    throw new NangoError('request_failed', `The response is encoded more than ${MAX_CODINGS} times.`);
  return named.map((coding) => {
    const decoder = DECODERS.get(coding);
    if (decoder) return decoder;
    throw new NangoError(
      'request_failed',
      `The response has the Content-Encoding ${JSON.stringify(coding.slice(0, 40))}, which is not supported. ` +
        'A request may ask for another one with Accept-Encoding.',
    );
  });
}

async function decodeOnce(body: Buffer, decoder: Decoder, maxBytes: number): Promise<Buffer> {
  try {
    return await decoder(body, { maxOutputLength: maxBytes });
  } catch (cause) {
    if (isTooLarge(cause))
      throw new NangoError('response_too_large', `The response is larger than ${maxBytes} bytes when unpacked.`, {
        cause,
      });
    throw new NangoError('request_failed', 'The body of the response does not match its Content-Encoding.', { cause });
  }
}

/** Decodes "deflate" with or without its wrapper, which some servers omit (RFC 9110 §8.4.1.2). */
async function inflateEither(body: Buffer, options: { maxOutputLength: number }): Promise<Buffer> {
  try {
    return await inflateAsync(body, options);
  } catch (error) {
    if (isTooLarge(error)) throw error;
    return inflateRawAsync(body, options);
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}

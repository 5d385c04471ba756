/** The head of an answer, and how its body ends. Names in lower case; repeated fields are lists. */
export interface ResponseHead {
  /** 100 to 999. */
  readonly status: number;
  readonly statusMessage: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Bytes of the body, or how its end is known. */
  readonly body: number | 'chunked' | 'until-close';
  /** Whether the connection can be used again. */
  readonly isPersistent: boolean;
}

/** An answer that is not HTTP/1.1 to the letter, and so could be read in two ways. */
export class HttpSyntaxError extends Error {
  override readonly name = 'HttpSyntaxError';
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CONTENT_LENGTH = /^\d{1,15}$/;

/**
 * Reads the head of an answer to a request of that method (RFC 9112 §4 to §6). Throws {@link HttpSyntaxError} for whatever
 * another reader could understand in another way: folded lines, two lengths, a length and a transfer coding.
 */
export function parseHead(text: string, method: string): ResponseHead {
  const lineEnd = text.indexOf('\r\n');
  const statusLine = STATUS_LINE.exec(lineEnd === -1 ? text : text.slice(0, lineEnd));
  if (!statusLine) throw new HttpSyntaxError('The status line is malformed.');
  const headers = lineEnd === -1 ? {} : parseFields(text.slice(lineEnd + 2));
  const status = Number(statusLine[2]);
  const connection = String(headers['connection'] ?? '').toLowerCase();
  const isPersistent = statusLine[1] === '1' ? !hasToken(connection, 'close') : false;
  const body = bodyOf(status, method, headers);
  return {
    status,
    statusMessage: statusLine[3] ?? '',
    headers,
    body,
    isPersistent: isPersistent && body !== 'until-close',
  };
}

/** Fields of a head or of trailers, without the empty line behind them. */
export function parseFields(text: string): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  if (text === '') return fields;
  for (let at = 0; at <= text.length;) {
    const lineEnd = text.indexOf('\r\n', at);
    const end = lineEnd === -1 ? text.length : lineEnd;
    const colon = text.indexOf(':', at);
    const name = colon === -1 || colon > end ? '' : text.slice(at, colon);
    const value = text.slice(colon + 1, end).trim();
    at = end + 2;
    const lower = lowerNameOf(name);
    if (!FIELD_VALUE.test(value)) throw new HttpSyntaxError('A header field is malformed.');
    // A name such as __proto__ is one like any other.
    const known = Object.hasOwn(fields, lower) ? fields[lower] : undefined;
    const all = known === undefined ? value : [...[known].flat(), value];
    if (lower === '__proto__')
      Object.defineProperty(fields, lower, { value: all, enumerable: true, configurable: true });
    else fields[lower] = all;
  }
  return fields;
}

// APIs use a few names over and over.
const knownNames = new Map<string, string>();
const MAX_KNOWN_NAMES = 500;

/** A field's name in lower case. Throws {@link HttpSyntaxError} for what is none. */
function lowerNameOf(name: string): string {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  if (!FIELD_NAME.test(name)) throw new HttpSyntaxError('A header field is malformed.');
  const lower = name.toLowerCase();
  if (knownNames.size < MAX_KNOWN_NAMES && name.length < 100) knownNames.set(name, lower);
  return lower;
}

function bodyOf(status: number, method: string, headers: ResponseHead['headers']): ResponseHead['body'] {
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined && length !== undefined)
    throw new HttpSyntaxError('The answer has both a length and a transfer coding.');
  if (coding !== undefined && (typeof coding !== 'string' || coding.toLowerCase() !== 'chunked'))
    throw new HttpSyntaxError('The answer has a transfer coding other than chunked.');
  if (length !== undefined && (typeof length !== 'string' || !CONTENT_LENGTH.test(length)))
    throw new HttpSyntaxError('The answer’s length is no number, or stands there twice.');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (coding !== undefined) return 'chunked';
  return length === undefined ? 'until-close' : Number(length);
}

function hasToken(list: string, token: string): boolean {
  return list === token || (list.includes(token) && list.split(',').some((part) => part.trim() === token));
}

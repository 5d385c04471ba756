import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { parseReference, referenceShape, type ConnectionReference } from '../../connections/connection-reference.ts';
import type { ApiCall, RetryChoice } from '../../calls/api-call.ts';
import { NangoError } from '../../errors/nango-error.ts';
import { requestHeaders } from './proxy-headers.ts';

/** Path prefix of the proxy. The endpoint follows. */
export const PROXY_PATH = '/proxy/';

const MAX_RETRIES = 10;
const referenceSchema = z.object(referenceShape);
const retrySchema = z.object({
  'Nango-Retries': z.coerce.number().int().min(0).max(MAX_RETRIES).optional(),
  'Nango-Retry-Any-Method': z.enum(['true', 'false']).optional(),
});
// The responses of these methods repeat the request (RFC 9110 §9.3.8).
const REFLECTING_METHODS: ReadonlySet<string> = new Set(['TRACE', 'TRACK']);

/**
 * Parses what a request to the proxy asks for, into its call. The reference is first, so that the report of a later
 * fault names the connection. Throws `invalid_request`.
 */
export function parseProxyRequest(incoming: IncomingMessage, call: ApiCall): void {
  call.reference = readReference(incoming);
  if (REFLECTING_METHODS.has(call.method))
    throw new NangoError(
      'invalid_request',
      `The proxy does not forward ${call.method}, because its response would show credentials.`,
    );
  call.retry = parseRetryChoice(incoming) ?? call.retry;
  call.endpoint = (incoming.url ?? '').slice(PROXY_PATH.length);
  call.headers = requestHeaders(incoming);
}

/**
 * Parses `Nango-Integration`, `Nango-User-Id` and `Nango-Account`, or `Nango-Connection-Id`. User id and account are
 * percent-encoded UTF-8, because header values are not Unicode.
 */
function readReference(incoming: IncomingMessage): ConnectionReference {
  const parsed = referenceSchema.safeParse({
    connectionId: single(incoming, 'nango-connection-id'),
    integration: single(incoming, 'nango-integration'),
    userId: decode(incoming, 'nango-user-id'),
    account: decode(incoming, 'nango-account'),
  });
  if (!parsed.success) throw invalidReference(z.prettifyError(parsed.error).replaceAll('\n', ' '));
  const { connectionId, integration, userId } = parsed.data;
  if (connectionId === undefined && (integration === undefined || userId === undefined))
    throw invalidReference(`${integration === undefined ? 'Nango-Integration' : 'Nango-User-Id'} is missing.`);
  return parseReference(parsed.data);
}

function invalidReference(why: string): NangoError {
  return new NangoError(
    'invalid_request',
    `Send the headers Nango-Integration and Nango-User-Id, or Nango-Connection-Id, once each. ${why}`,
  );
}

/** Parses `Nango-Retries` and `Nango-Retry-Any-Method`. Undefined if neither was sent. Throws `invalid_request`. */
function parseRetryChoice({ headers }: IncomingMessage): RetryChoice | undefined {
  const retries = headers['nango-retries'];
  const anyMethod = headers['nango-retry-any-method'];
  if (retries === undefined && anyMethod === undefined) return undefined;
  const parsed = retrySchema.safeParse({ 'Nango-Retries': retries, 'Nango-Retry-Any-Method': anyMethod });
  if (!parsed.success)
    throw new NangoError(
      'invalid_request',
      `Nango-Retries must be a number from 0 to ${MAX_RETRIES}, and Nango-Retry-Any-Method "true" or "false".`,
    );
  return {
    maxRetries: parsed.data['Nango-Retries'],
    anyMethod: parsed.data['Nango-Retry-Any-Method'] === 'true',
  };
}

/** Returns a header. Undefined also if it was sent twice: two programs could read two different values. */
function single(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name];
  if (typeof value !== 'string') return undefined;
  return value.includes(', ') && incoming.headersDistinct[name]?.length !== 1 ? undefined : value;
}

function decode(incoming: IncomingMessage, name: 'nango-user-id' | 'nango-account'): string | undefined {
  const text = single(incoming, name);
  if (text === undefined || !text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    const header = name === 'nango-user-id' ? 'Nango-User-Id' : 'Nango-Account';
    throw new NangoError(
      'invalid_request',
      `${header} is not percent-encoded UTF-8. Encode it, and encode "%" as "%25".`,
      { cause },
    );
  }
}

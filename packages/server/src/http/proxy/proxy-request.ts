import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { parseReference, referenceShape, type ConnectionReference } from '../../connections/connection-reference.ts';
import type { RetryChoice } from '../../calls/follow-ups.ts';
import { NangoError } from '../../errors/nango-error.ts';

/** Path prefix of the proxy. The endpoint follows. */
export const PROXY_PATH = '/proxy/';

const MAX_RETRIES = 10;
const referenceSchema = z.object(referenceShape);
const retrySchema = z.object({
  'Nango-Retries': z.coerce.number().int().min(0).max(MAX_RETRIES).optional(),
  'Nango-Retry-Any-Method': z.enum(['true', 'false']).optional(),
});
const NO_CHOICE: RetryChoice = { anyMethod: false };

/**
 * Parses `Nango-Integration`, `Nango-User-Id` and `Nango-Account`, or `Nango-Connection-Id`. User id and account are
 * percent-encoded UTF-8, because header values are not Unicode.
 */
export function readReference(request: IncomingMessage): ConnectionReference {
  const parsed = referenceSchema.safeParse({
    connectionId: single(request, 'nango-connection-id'),
    integration: single(request, 'nango-integration'),
    userId: decode(request, 'nango-user-id'),
    account: decode(request, 'nango-account'),
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

/** Parses `Nango-Retries` and `Nango-Retry-Any-Method`. Throws `invalid_request`. */
export function parseRetryChoice({ headers }: IncomingMessage): RetryChoice {
  const retries = headers['nango-retries'];
  const anyMethod = headers['nango-retry-any-method'];
  if (retries === undefined && anyMethod === undefined) return NO_CHOICE;
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
function single(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  if (typeof value !== 'string') return undefined;
  return value.includes(', ') && request.headersDistinct[name]?.length !== 1 ? undefined : value;
}

function decode(request: IncomingMessage, name: 'nango-user-id' | 'nango-account'): string | undefined {
  const text = single(request, name);
  if (text === undefined || !text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    const header = name === 'nango-user-id' ? 'Nango-User-Id' : 'Nango-Account';
    throw new NangoError(
      'invalid_request',
      `${header} is not percent-encoded UTF-8. Encode it, and encode "%" as "%25".`,
      {
        cause,
      },
    );
  }
}

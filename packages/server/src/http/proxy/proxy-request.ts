import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { userIdSchema } from '../../connections/connection-input.ts';
import { integrationNameSchema } from '../../config/integration-name.ts';
import type { RetryChoice } from '../../calls/follow-ups.ts';
import { NangoError } from '../../errors/nango-error.ts';
import type { ConnectionKey } from '../../store/store.ts';

/** Path prefix of the proxy. The endpoint follows. */
export const PROXY_PATH = '/proxy/';

const MAX_RETRIES = 10;
const keySchema = z.object({ integration: integrationNameSchema, userId: userIdSchema });
const retrySchema = z.object({
  'Nango-Retries': z.coerce.number().int().min(0).max(MAX_RETRIES).optional(),
  'Nango-Retry-Any-Method': z.enum(['true', 'false']).optional(),
});
const NO_CHOICE: RetryChoice = { anyMethod: false };

/**
 * Parses `Nango-Integration` and `Nango-User-Id`. The user id is percent-encoded UTF-8, because header values are not
 * Unicode.
 */
export function parseKey(request: IncomingMessage): ConnectionKey {
  const key = { integration: single(request, 'nango-integration'), userId: decode(single(request, 'nango-user-id')) };
  const parsed = keySchema.safeParse(key);
  if (parsed.success) return parsed.data;
  throw new NangoError(
    'invalid_request',
    'Send the headers Nango-Integration and Nango-User-Id, once each. ' +
      z.prettifyError(parsed.error).replaceAll('\n', ' '),
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

function decode(text: string | undefined): string | undefined {
  if (text === undefined || !text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new NangoError(
      'invalid_request',
      'Nango-User-Id is not percent-encoded UTF-8. Encode it, and encode "%" as "%25".',
      { cause },
    );
  }
}

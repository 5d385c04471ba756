import type { IncomingHttpHeaders } from 'node:http';

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;

/**
 * The id that identifies a request in logs, traces and responses: the caller's `X-Request-Id` if it is usable, else a
 * new one.
 */
export function requestIdOf({ 'x-request-id': given }: IncomingHttpHeaders): string {
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}

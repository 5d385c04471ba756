import type { IncomingHttpHeaders } from 'node:http';

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;

/**
 * Returns the id of a request in logs, traces and responses. It is the caller's `X-Request-Id` if that is valid, else a
 * new one.
 */
export function requestIdOf({ 'x-request-id': requested }: IncomingHttpHeaders): string {
  return typeof requested === 'string' && REQUEST_ID.test(requested) ? requested : crypto.randomUUID();
}

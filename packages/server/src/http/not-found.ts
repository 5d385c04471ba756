import { NangoError } from '../errors/nango-error.ts';

/** The error for an address that has no route. */
export function notFound(): NangoError {
  return new NangoError('not_found', 'There is nothing at this address.');
}

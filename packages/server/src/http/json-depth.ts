import { NangoError } from '../errors/nango-error.ts';

const MAX_DEPTH = 64;

/** Rejects JSON that is nested too deeply: recursion over it could exhaust the stack. Throws `invalid_request`. */
export function assertJsonDepth(body: unknown): void {
  let level = [body];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH)
      throw new NangoError('invalid_request', `The body is nested deeper than ${MAX_DEPTH} levels.`);
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
}

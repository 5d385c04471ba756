import type { z } from 'zod';
import { NangoError } from '../errors/nango-error.ts';
import { parseJson } from '../formats/parse-json.ts';

/** Makes an opaque cursor that names a position in a list. */
export function createCursor(place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** Throws `invalid_request` for text that {@link createCursor} did not make. */
export function parseCursor<T>(cursor: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(parseJson(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch (cause) {
    throw new NangoError(
      'invalid_request',
      'This server did not issue the cursor. Pass the cursor of a page unchanged.',
      { cause },
    );
  }
}

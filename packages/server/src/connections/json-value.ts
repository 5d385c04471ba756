import { z } from 'zod';
import type { JsonValue } from '../auth-modes/auth-mode.ts';

/**
 * Anything that JSON can hold, for values that a JSON parser returned: those hold nothing else, so that only their presence is
 * looked at.
 */
export const jsonValueSchema = z.custom<JsonValue>((value) => value !== undefined).describe('Any JSON value');

import { z } from 'zod';
import type { JsonValue } from '../auth-modes/auth-mode.ts';

/** Any JSON value that a JSON parser returned. The parser returns nothing else, so only its presence is checked. */
export const jsonValueSchema = z.custom<JsonValue>((value) => value !== undefined).describe('Any JSON value');

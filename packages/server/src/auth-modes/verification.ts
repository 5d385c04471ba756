import { z } from 'zod';
import type { Fields } from '../schema/fields.ts';
import type { BaseAuth } from './auth-mode.ts';

/** A request that only right credentials can make, sent before they are stored. */
export interface VerificationRequest {
  readonly method: 'GET' | 'POST';
  /** Relative to base_url. */
  readonly endpoint: string;
}

/** The `auth` of modes whose credentials the user types in. */
export interface EnteredAuth extends BaseAuth {
  readonly verification?: VerificationRequest | undefined;
}

/** The keys of `auth` that such modes share. */
export function enteredAuthShape(fields: Fields) {
  return {
    verification: z
      .strictObject({
        method: fields.choice(['GET', 'POST']).default('GET').describe('HTTP method'),
        endpoint: z.string().min(1).describe('Relative to base_url'),
      })
      .optional()
      .describe('Request that proves credentials before they are stored'),
  };
}

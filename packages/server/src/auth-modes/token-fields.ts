import { z } from 'zod';
import type { TokenResponse, TokenResponseFormat } from '../oauth/token-response.ts';
import type { Fields } from '../schema/fields.ts';

const MAX_REFRESH_MARGIN_SECONDS = 86_400;
const MAX_LIFETIME_SECONDS = 10 * 365 * 86_400;

/** Returns the schema of other names, or dotted paths, for some members. */
export function parameterNames(members: readonly string[]) {
  const name = z
    .string()
    .max(200)
    .regex(/^[\w.-]*$/, 'must be a name');
  const shape = Object.fromEntries(members.map((member) => [member, name.optional()]));
  return z.strictObject(shape).default({});
}

/** Returns the schema of `auth.access_denied_errors`. */
export function accessDeniedErrors() {
  return z
    .array(z.string().min(1))
    .default([])
    .describe('The provider’s own error codes for access_denied, in addition to the common ones');
}

/**
 * The keys of `auth` that say how a token response is read, and when the token is refreshed. `morePaths` are further
 * members that the mode reads.
 */
export function tokenShape(fields: Fields, morePaths: readonly string[] = []) {
  return {
    token_response_paths: parameterNames([
      ...morePaths,
      'access_token',
      'refresh_token',
      'expires_in',
      'expires_at',
      'refresh_token_expires_in',
      'error',
    ]).describe(
      'Dotted paths of members of the token response that are elsewhere; expires_at is a time, not a duration',
    ),
    invalid_grant_errors: z
      .array(z.string().min(1))
      .default([])
      .describe('The provider’s own error codes that mean invalid_grant: the user has to connect again'),
    expires_in_unit: fields.choice(['seconds', 'milliseconds']).default('seconds').describe('Unit of expires_in'),
    token_lifetime_seconds: fields
      .number({ min: 1, max: MAX_LIFETIME_SECONDS })
      .optional()
      .describe('Lifetime of access tokens whose response names none'),
    refresh_margin_seconds: fields
      .number({ min: 0, max: MAX_REFRESH_MARGIN_SECONDS })
      .default(60)
      .describe('Access tokens are refreshed this long before they expire, but never in the first half of their life'),
  };
}

type TokenAuth = z.output<z.ZodObject<ReturnType<typeof tokenShape>>>;

/** Returns the format of token responses; `tokenTypes` as in {@link TokenResponseFormat}. */
export function responseFormat(
  { token_response_paths, expires_in_unit, invalid_grant_errors }: TokenAuth,
  tokenTypes: readonly string[] | undefined,
): TokenResponseFormat {
  return {
    tokenTypes,
    paths: token_response_paths,
    expiresInUnit: expires_in_unit,
    invalidGrantErrors: invalid_grant_errors,
  };
}

/** Returns when a token that was just received expires, in milliseconds since the epoch; undefined = unknown. */
export function expiryOf(
  { expires_at, expires_in }: TokenResponse,
  { token_lifetime_seconds }: TokenAuth,
  now: number,
): number | undefined {
  const lifetime = expires_in ?? token_lifetime_seconds;
  return expires_at ?? (lifetime === undefined ? undefined : now + Math.floor(lifetime * 1000));
}

/** Returns when a token is due, in milliseconds since the epoch; undefined = never. */
export function refreshDueAt(
  { expires_at, received_at }: { expires_at: number | undefined; received_at: number | undefined },
  { refresh_margin_seconds }: TokenAuth,
): number | undefined {
  if (expires_at === undefined) return undefined;
  const margin = refresh_margin_seconds * 1000;
  // Without the half-life bound, every request would refresh a token whose lifetime is shorter than the margin.
  return expires_at - (received_at === undefined ? margin : Math.min(margin, (expires_at - received_at) / 2));
}

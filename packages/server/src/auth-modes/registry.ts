import type { PlaceholderScope } from '../schema/fields.ts';
import { apiKey } from './prompted/api-key.ts';
import { awsSigV4 } from './prompted/aws-sigv4.ts';
import { COMMON_PLACEHOLDERS, type AuthMode } from './auth-mode.ts';
import { jwt } from './prompted/jwt.ts';
import { oauth1 } from './oauth1.ts';
import { oauth2 } from './oauth2/oauth2.ts';
import { usernamePassword } from './prompted/username-password.ts';

/** Every auth mode, by its value of `auth_mode`. */
export const AUTH_MODES: ReadonlyMap<string, AuthMode> = new Map(
  [oauth2, oauth1, apiKey, usernamePassword, jwt, awsSigV4].map((mode: AuthMode) => [mode.name, mode]),
);

/** Placeholders of all modes. They get their values at request time, so they are never read from the environment. */
export const RESERVED_PLACEHOLDERS: PlaceholderScope = {
  names: [
    ...new Set([
      ...COMMON_PLACEHOLDERS.names,
      ...[...AUTH_MODES.values()].flatMap((mode) => Object.keys(mode.placeholders)),
    ]),
  ],
  prefixes: COMMON_PLACEHOLDERS.prefixes,
};

/** Returns the placeholders that `requests` may use with one mode. */
export function placeholderScopeOf(mode: AuthMode): PlaceholderScope {
  return {
    names: [...COMMON_PLACEHOLDERS.names, ...Object.keys(mode.placeholders)],
    prefixes: COMMON_PLACEHOLDERS.prefixes,
  };
}

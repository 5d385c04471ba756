import { z } from 'zod';
import type { AuthMode, BaseCredentials } from './auth-mode.ts';
import { keepRaw, rawObject } from './credential-schema.ts';
import { enteredAuthShape, type EnteredAuth } from './verification.ts';

interface UsernamePasswordCredentials extends BaseCredentials {
  readonly username: string;
  readonly password: string;
}

// RFC 7617 §2: the user-id cannot hold a colon, and neither part a control character. Either part may be empty:
// several APIs take the key as user name and nothing as password.
const username = z
  .string()
  .max(10_000)
  .regex(/^[^:\p{Cc}]*$/u, 'must not hold a colon or a control character');
const password = z
  .string()
  .max(10_000)
  .regex(/^\P{Cc}*$/u, 'must not hold a control character');

/** `USERNAME_PASSWORD`: HTTP Basic credentials (RFC 7617), registered by the application. */
export const usernamePassword: AuthMode<EnteredAuth, UsernamePasswordCredentials> = {
  name: 'USERNAME_PASSWORD',
  usesOAuthClient: false,
  authShape: enteredAuthShape,
  entered: { verification: ({ auth }) => auth.verification },
  credentialsInput: z
    .looseObject({ username, password })
    .transform((given) => ({ username: given.username, password: given.password, raw: keepRaw(given) })),
  storedCredentials: z.object({ username: z.string(), password: z.string(), raw: rawObject }),
  placeholders: {
    username: (credentials) => credentials.username,
    password: (credentials) => credentials.password,
    // UTF-8, the one encoding RFC 7617 §2.1 lets a server announce.
    basic_auth_encoded: ({ username: user, password: pass }) =>
      Buffer.from(`${user}:${pass}`, 'utf8').toString('base64'),
  },
};

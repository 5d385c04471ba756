import { z } from 'zod';
import { keepRaw, storedSecret } from '../credential-schema.ts';
import { promptedCredentialsShape, promptedMode, type PromptedCredentials } from './prompted-mode.ts';
import { Secret } from '../../vault/secret.ts';

interface UsernamePasswordCredentials extends PromptedCredentials {
  readonly username: string;
  readonly password: Secret<string>;
}

// RFC 7617 §2: the user-id has no colon, and neither part has control characters. Either part may be empty: several
// APIs take the key as user name and an empty password.
const username = z
  .string()
  .max(10_000)
  .regex(/^[^:\p{Cc}]*$/u, 'must not hold a colon or a control character')
  .default('');
const password = z
  .string()
  .max(10_000)
  .regex(/^\P{Cc}*$/u, 'must not hold a control character')
  .default('');

/** `USERNAME_PASSWORD`: HTTP Basic credentials (RFC 7617), or a login that is exchanged for a token. */
export const usernamePassword = promptedMode<UsernamePasswordCredentials>({
  name: 'USERNAME_PASSWORD',
  fields: {
    username: { label: 'User name', secret: false, acceptsEmpty: true },
    password: { label: 'Password', acceptsEmpty: true },
  },
  credentialsInput: z.looseObject({ username, password }).transform((values) => ({
    username: values.username,
    password: new Secret(values.password),
    raw: keepRaw(values),
  })),
  storedCredentials: z.object({ username: z.string(), password: storedSecret, ...promptedCredentialsShape }),
  placeholders: {
    username: (credentials) => credentials.username,
    password: (credentials) => credentials.password,
    // UTF-8 is the only encoding that a server can announce (RFC 7617 §2.1).
    basic_auth_encoded: ({ username: user, password: pass }) =>
      pass.map((text) => Buffer.from(`${user}:${text}`, 'utf8').toString('base64')),
  },
});

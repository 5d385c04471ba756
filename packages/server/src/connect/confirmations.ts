import { z } from 'zod';
import type { Authorized, BaseCredentials } from '../auth-modes/auth-mode.ts';
import type { ConnectionContext } from '../connections/connection-context.ts';
import { identitySchema } from '../connections/connection-input.ts';
import { NangoError } from '../errors/nango-error.ts';
import { jsonValue } from '../formats/parse-json.ts';
import type { ConnectionRow } from '../store/store.ts';
import { parseSecretJson, toSecretJson } from '../vault/sealed-json.ts';
import type { Secret } from '../vault/secret.ts';
import { revokeUnwanted } from './account-change.ts';
import { failAttemptOnError, openAttempt, sealSecrets, type OpenAttempt } from './attempt-steps.ts';
import { hashToken } from './connect-sessions.ts';
import { clientSecrets } from './own-client.ts';
import { invalidCode } from './redirects.ts';
import { storeAuthorized } from './store-connection.ts';

/** The name of the authorization among the secrets of an attempt. */
const AUTHORIZED = 'authorized';

/**
 * Seals what the provider granted into the attempt, until the back end confirms whose it is. Without that, somebody who
 * mails their own link to another person would get that person's account.
 */
export async function awaitConfirmation(
  { row, oauthClient }: OpenAttempt,
  authorized: Authorized<BaseCredentials>,
  context: ConnectionContext,
): Promise<void> {
  const secrets = { ...clientSecrets(oauthClient), [AUTHORIZED]: toSecretJson(authorized) };
  await context.store.awaitConfirmation(row.attemptHash, sealSecrets(secrets, row.attemptHash, context));
}

/** A code that a browser brought, and the user who is signed in there. */
export interface Confirmation {
  readonly code: Secret<string>;
  readonly userId: string;
}

/**
 * Stores the connection of an attempt that waits for its confirmation. Throws `invalid_code` for a code that is
 * unknown, used or expired, and `forbidden` for another user. Then nothing is stored, and the code is used.
 */
export async function confirmConnection(
  { code, userId }: Confirmation,
  context: ConnectionContext,
): Promise<ConnectionRow> {
  const row = await context.store.takeConfirmation(hashToken(code), context.now());
  if (!row) throw invalidCode();
  const attempt = await openAttempt(row, context);
  const authorized = openAuthorized(attempt);
  if (row.userId === userId)
    return failAttemptOnError(row, () => storeAuthorized(attempt, authorized, context), context);
  const error = new NangoError('forbidden', 'This account was connected for another user than the one signed in.');
  await context.store.failAttempt(row.attemptHash, { type: error.code, message: error.message });
  await revokeUnwanted(attempt, authorized, context);
  throw error;
}

function openAuthorized({ mode, secrets }: OpenAttempt): Authorized<BaseCredentials> {
  const { [AUTHORIZED]: json } = secrets;
  const schema = z.object({
    credentials: mode.storedCredentials,
    config: z.record(z.string(), jsonValue),
    identity: identitySchema.optional(),
    requestedScopes: z.array(z.string()),
  });
  const authorized = json && parseSecretJson(json, schema);
  if (authorized) return { ...authorized, identity: authorized.identity ?? undefined };
  throw new NangoError('credentials_unreadable', 'The authorization that waits to be confirmed cannot be read.');
}

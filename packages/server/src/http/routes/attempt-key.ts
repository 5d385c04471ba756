import { userIdSchema } from '../../connections/connection-input.ts';
import { NangoError } from '../../errors/nango-error.ts';
import type { ConnectionKey } from '../../store/store.ts';

type AttemptKey = Pick<ConnectionKey, 'integration' | 'userId'>;

/**
 * Checks the Integration and the user id that a page or an address names. Throws `missing_user_id`, and
 * `invalid_request` for an invalid id.
 */
export function assertAttemptKey({
  integration,
  userId = '',
}: {
  integration: string | undefined;
  userId: string | undefined;
}): AttemptKey {
  if (integration === undefined) throw new NangoError('invalid_request', 'integration is missing.');
  if (userId === '') {
    throw new NangoError('missing_user_id', 'connect() needs a user id: connect(integration, userId).');
  }
  const { error } = userIdSchema.safeParse(userId);
  if (error) throw new NangoError('invalid_request', `The user id ${error.issues[0]?.message ?? 'is not usable'}.`);
  return { integration, userId };
}

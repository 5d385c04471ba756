import type { ConnectionRow } from '../store/store.ts';

/** Why a connection needs its user if its token expired and nothing can refresh it, in words for developers. */
export const NO_REFRESH_TOKEN = 'The access token expired and there is no refresh token.';

/** Returns words for the user about a connection that needs them; null while it is active. */
export function statusMessageOf({ integration, status, statusReason }: ConnectionRow): string | null {
  if (status === 'active') return null;
  const what =
    statusReason === NO_REFRESH_TOKEN
      ? `Your access to ${integration} has expired.`
      : `${integration} no longer accepts the access that you granted.`;
  return `${what} Connect your account again.`;
}

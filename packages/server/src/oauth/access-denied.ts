// The code of RFC 6749 §4.1.2.1, and the codes with which providers and extensions of OAuth 1.0 replace it.
const CODES: ReadonlySet<string> = new Set([
  'access_denied',
  'authorization_denied',
  'consent_denied',
  'permission_denied',
  'user_cancelled',
  'user_cancelled_authorize',
  'user_cancelled_login',
  'user_denied',
  'user_refused',
]);

/** Whether a provider's error code means that the user refused. `more` are this provider's own codes. */
export function isAccessDenied(error: string, more: readonly string[] = []): boolean {
  return CODES.has(error) || more.includes(error);
}

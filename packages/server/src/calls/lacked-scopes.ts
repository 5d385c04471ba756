import { missingScopesOf } from '../connections/granted-scopes.ts';
import type { OpenConnection } from '../connections/connection-context.ts';
import type { HeaderFields } from '../formats/header-fields.ts';

/**
 * Returns the scopes that a connection lacks, if an API refused a request because of its scopes (`insufficient_scope`,
 * RFC 6750 §3.1). Undefined if it refused for another reason, or if no scope is known to be missing.
 */
export function lackedScopes(
  { row, integration }: OpenConnection,
  { status, headers }: { status: number; headers: HeaderFields },
): string[] | undefined {
  if (status !== 403) return undefined;
  const challenges = [headers['www-authenticate'] ?? []].flat();
  if (!challenges.some((challenge) => challenge.includes('insufficient_scope'))) return undefined;
  const missing = missingScopesOf(row, integration);
  return missing !== null && missing.length > 0 ? missing : undefined;
}

import type { Integration } from '../auth-modes/auth-mode.ts';
import { authModeOf } from '../connections/connection-context.ts';
import { parseScopes } from '../connections/granted-scopes.ts';
import { NangoError } from '../errors/nango-error.ts';
import type { ConnectionRow } from '../store/store.ts';

/** The scopes of an attempt, as its options keep them. */
export interface AttemptScopes {
  /** The scopes to ask for; absent = those of the Integration. */
  readonly scopes?: string[];
  /** The scopes that the provider keeps without being asked. */
  readonly keptScopes?: string[];
}

/** Throws `invalid_request` if a session may not choose a scope for an Integration. */
export function assertAllowedScopes(scopes: readonly string[], integration: Integration): void {
  const allowed = allowedScopes(integration);
  const other = scopes.find((scope) => !allowed.has(scope));
  if (other === undefined) return;
  throw new NangoError(
    'invalid_request',
    `"${integration.name}" does not allow the scope "${other}". Add it to its oauth_scopes or allowed_scopes.`,
  );
}

/**
 * Returns the scopes to ask for when a connection is made or made again. `chosen` are those of the session. The scopes
 * of an existing connection are kept, unless the Integration no longer allows them.
 */
export function attemptScopes(
  integration: Integration,
  { chosen, existing }: { chosen: readonly string[] | undefined; existing: ConnectionRow | undefined },
): AttemptScopes {
  const { auth, oauthScopes } = integration;
  const allowed = allowedScopes(integration);
  const earlier = (parseScopes(existing?.requestedScopes ?? null) ?? []).filter((scope) => allowed.has(scope));
  const wanted = chosen ?? oauthScopes;
  if (chosen === undefined && earlier.every((scope) => wanted.includes(scope))) return {};
  const isIncremental = authModeOf(integration).scopes?.isIncremental(auth) ?? false;
  // If the grant is gone, the provider has nothing to keep.
  if (isIncremental && existing?.status === 'active') return { scopes: [...wanted], keptScopes: earlier };
  return { scopes: union(earlier, wanted) };
}

/** Returns both lists as one, without repetitions. */
export function union(some: readonly string[], more: readonly string[] = []): string[] {
  return [...new Set([...some, ...more])];
}

function allowedScopes({ oauthScopes, allowedScopes: further }: Integration): Set<string> {
  return new Set([...oauthScopes, ...further]);
}

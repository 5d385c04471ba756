import { z } from 'zod';
import type { Integration } from '../auth-modes/auth-mode.ts';
import { AUTH_MODES } from '../auth-modes/registry.ts';
import { missingScopes } from '../auth-modes/scopes.ts';
import type { ConnectionRow } from '../store/store.ts';

const scopeList = z.array(z.string());

/** Parses a stored list of scopes; null = unknown. */
export function parseScopes(json: string | null): string[] | null {
  return json === null ? null : scopeList.parse(JSON.parse(json));
}

/** Returns a list of scopes as it is stored. */
export function formatScopes(scopes: readonly string[] | null | undefined): string | null {
  return scopes ? JSON.stringify(scopes) : null;
}

/**
 * Returns the scopes that a connection lacks: requested, not granted, and not implied by a granted one. Null if the
 * provider did not say what it granted, or if `integrations.yaml` no longer has the Integration.
 */
export function missingScopesOf(
  { requestedScopes, grantedScopes }: ConnectionRow,
  integration: Integration | undefined,
): string[] | null {
  const requested = parseScopes(requestedScopes);
  const granted = parseScopes(grantedScopes);
  if (!integration || !requested || !granted) return null;
  const implied = AUTH_MODES.get(integration.auth.auth_mode)?.scopes?.implied(integration.auth) ?? {};
  return missingScopes({ requested, granted }, implied);
}

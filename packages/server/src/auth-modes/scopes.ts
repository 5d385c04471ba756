import { z } from 'zod';
import { memberAt } from '../formats/json-path.ts';

/** The most scopes of one grant. */
export const MAX_SCOPES = 200;
/** The longest scope, in characters. */
export const MAX_SCOPE = 300;

/** Returns the schema of `auth.scope_implies`. */
export function scopeImpliesSchema() {
  return z
    .record(z.string().min(1).max(MAX_SCOPE), z.array(z.string().min(1).max(MAX_SCOPE)).min(1).max(MAX_SCOPES))
    .default({})
    .describe('Scopes that a granted scope includes, or that the provider renames to it; * stands for every grant');
}

/** Where a token response names scopes, and how they are joined. */
interface ScopeFormat {
  readonly path: string;
  readonly separator: string;
}

/**
 * Returns the scopes that a token response names (RFC 6749 §5.1), each once, in its order. Providers send a list, or a
 * text with spaces, commas or their own separator. Undefined if the response does not say.
 */
export function scopesIn(response: unknown, { path, separator }: ScopeFormat): string[] | undefined {
  const texts = [memberAt(response, path)].flat().filter((text) => typeof text === 'string');
  const parts = texts.flatMap((text) => text.split(separator || ' ')).flatMap((text) => text.split(/[\s,]+/));
  const distinct = [...new Set(parts.filter((scope) => scope !== ''))];
  const isUsable = distinct.length > 0 && distinct.length <= MAX_SCOPES;
  return isUsable && distinct.every(isScope) ? distinct : undefined;
}

function isScope(text: string): boolean {
  return text.length <= MAX_SCOPE && text.isWellFormed() && !/\p{Cc}/u.test(text);
}

/** Returns the requested scopes that were not granted, and that no granted scope implies. */
export function missingScopes(
  { requested, granted }: { requested: readonly string[]; granted: readonly string[] },
  implies: Readonly<Record<string, readonly string[]>>,
): string[] {
  const included = new Set<string>();
  const waiting = ['*', ...granted];
  for (let scope = waiting.pop(); scope !== undefined; scope = waiting.pop()) {
    if (included.has(scope)) continue;
    included.add(scope);
    if (Object.hasOwn(implies, scope)) waiting.push(...(implies[scope] ?? []));
  }
  return requested.filter((scope) => !included.has(scope));
}

import { decodeJwt } from 'jose/jwt/decode';
import { z } from 'zod';
import { memberAt } from '../formats/json-path.ts';
import { numberText } from '../formats/parse-json.ts';
import type { Identity, JsonObject } from './auth-mode.ts';

/** The longest member of an identity, in characters. */
export const MAX_IDENTITY_TEXT = 500;

const identityPaths = z.strictObject({
  user: z.string().min(1).max(200).optional().describe('The provider’s id of the user'),
  workspace: z.string().min(1).max(200).optional().describe('The provider’s id of the workspace, team or company'),
  name: z.string().min(1).max(200).optional().describe('A name for people: an e-mail address or a login'),
});

/** Paths of the members of a response that say who connected. */
export type IdentityPaths = z.output<typeof identityPaths>;

/** Returns the schema of `auth.identity`. */
export function identitySchema() {
  return identityPaths
    .optional()
    .describe(
      'Members of the token response that say who connected, by dotted path; ' +
        'id_token.<claim> is a claim of the ID token (OpenID Connect Core 1.0 §2)',
    );
}

/** Returns the schema of a step's `identity`. */
export function stepIdentitySchema() {
  return identityPaths.default({}).describe('Members of the response that say who connected, by dotted path');
}

/** Returns what a response says about who connected. The token endpoint sent the ID token, so it needs no signature. */
export function identityFrom(response: unknown, paths: IdentityPaths = {}): Partial<Identity> {
  const identity: { -readonly [Member in keyof Identity]?: string } = {};
  for (const member of ['user', 'workspace', 'name'] as const) {
    const path = paths[member];
    const value = path === undefined ? undefined : textOf(memberAt(withClaims(response, path), path));
    if (value !== undefined) identity[member] = value;
  }
  return identity;
}

/** Returns an identity; undefined if the provider did not say who the user is. */
export function completeIdentity({ user, workspace, name }: Partial<Identity>): Identity | undefined {
  return user === undefined ? undefined : { user, workspace: workspace ?? null, name: name ?? null };
}

/** Puts the claims of the ID token in its place, if a path leads into it. */
function withClaims(response: unknown, path: string): unknown {
  if (!path.startsWith('id_token.') || !isObject(response)) return response;
  const { id_token: token } = response;
  return typeof token === 'string' ? { ...response, id_token: claimsOf(token) } : response;
}

function claimsOf(token: string): unknown {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}

function textOf(member: unknown): string | undefined {
  const value = typeof member === 'number' ? String(member) : (numberText(member) ?? member);
  if (typeof value !== 'string' || value === '' || value.length > MAX_IDENTITY_TEXT) return undefined;
  return value.isWellFormed() && !/\p{Cc}/u.test(value) ? value : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

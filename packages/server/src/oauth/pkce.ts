import { createHash } from 'node:crypto';
import type { Secret } from '../vault/secret.ts';

/** How the code challenge is made from the verifier. `none` omits PKCE, for providers that reject its parameters. */
export type CodeChallengeMethod = 'S256' | 'plain' | 'none';

/** Returns the authorization request's PKCE parameters (RFC 7636 §4.3). */
export function codeChallengeParams(codeVerifier: Secret<string>, method: CodeChallengeMethod): Record<string, string> {
  if (method === 'none') return {};
  const verifier = codeVerifier.reveal();
  const code_challenge =
    method === 'plain' ? verifier : createHash('sha256').update(verifier, 'ascii').digest('base64url');
  return { code_challenge, code_challenge_method: method };
}

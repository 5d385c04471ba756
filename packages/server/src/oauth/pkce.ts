import { createHash } from 'node:crypto';
import type { MaybeSecret, Secret } from '../vault/secret.ts';

/** How the code challenge is made from the verifier. `none` omits PKCE, for providers that reject its parameters. */
export type CodeChallengeMethod = 'S256' | 'plain' | 'none';

/** Returns the authorization request's PKCE parameters (RFC 7636 §4.3). With `plain`, the challenge is the verifier. */
export function codeChallengeParams(
  codeVerifier: Secret<string>,
  method: CodeChallengeMethod,
): Readonly<Record<string, MaybeSecret>> {
  if (method === 'none') return {};
  const code_challenge = method === 'plain' ? codeVerifier : codeVerifier.map(sha256);
  return { code_challenge, code_challenge_method: method };
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'ascii').digest('base64url');
}

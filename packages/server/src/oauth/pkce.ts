import { createHash } from 'node:crypto';

/** How the code challenge is made from the verifier; `none` leaves PKCE out, for providers that refuse its parameters. */
export type CodeChallengeMethod = 'S256' | 'plain' | 'none';

/** The authorization request's PKCE parameters (RFC 7636 §4.3). */
export function codeChallengeParams(codeVerifier: string, method: CodeChallengeMethod): Record<string, string> {
  if (method === 'none') return {};
  const code_challenge =
    method === 'plain' ? codeVerifier : createHash('sha256').update(codeVerifier, 'ascii').digest('base64url');
  return { code_challenge, code_challenge_method: method };
}

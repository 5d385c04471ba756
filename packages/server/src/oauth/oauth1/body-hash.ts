import { createHash } from 'node:crypto';
import type { SignatureMethod } from './signature-method.ts';

/**
 * Returns `oauth_body_hash` of a body that is not a form (OAuth Request Body Hash 1.0 draft 4 §3.2): the hash of the
 * signature method over the whole body; an absent body is empty. PLAINTEXT signs nothing, so it has none (§3.1).
 */
export function bodyHashParameter(body: string | Uint8Array, method: SignatureMethod): Record<string, string> {
  if (method === 'PLAINTEXT') return {};
  const hash = method.endsWith('SHA256') ? 'sha256' : 'sha1';
  return { oauth_body_hash: createHash(hash).update(body).digest('base64') };
}

import { createHmac } from 'node:crypto';
import type { Secret } from '../vault/secret.ts';

/** Returns the name of a user in logs: the id, or a hash of the id. */
export type NameUser = (userId: string) => string;

const MAX_CACHED = 10_000;

/**
 * Creates {@link NameUser}. `isHashed` is called each time, so that a reload takes effect. `key` protects the hashes.
 */
export function createNameUser({ key, isHashed }: { key: Secret<Uint8Array>; isHashed: () => boolean }): NameUser {
  const cached = new Map<string, string>();
  return (userId) => {
    if (!isHashed() || userId === '') return userId;
    const hashed =
      cached.get(userId) ?? createHmac('sha256', key.reveal()).update('log').update(userId).digest('hex').slice(0, 16);
    if (cached.size >= MAX_CACHED) cached.clear();
    cached.set(userId, hashed);
    return hashed;
  };
}

import { createHmac } from 'node:crypto';

/** Returns what logs call a user: the id, or a hash of it. */
export type NameUser = (userId: string) => string;

const MAX_CACHED = 10_000;

/** `isHashed` is called each time, so that a reload takes effect. Ids cannot be guessed from hashes without the key. */
export function createNameUser({ key, isHashed }: { key: Uint8Array; isHashed: () => boolean }): NameUser {
  const cached = new Map<string, string>();
  return (userId) => {
    if (!isHashed() || userId === '') return userId;
    const hashed =
      cached.get(userId) ?? createHmac('sha256', key).update('log').update(userId).digest('hex').slice(0, 16);
    if (cached.size >= MAX_CACHED) cached.clear();
    cached.set(userId, hashed);
    return hashed;
  };
}

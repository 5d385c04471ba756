import { createHmac } from 'node:crypto';

/** How logs name users: by their id, or by a hash that only distinguishes them. */
export type NameUser = (userId: string) => string;

const MAX_KNOWN = 10_000;

/** `isHashed` is called each time, so that a reload takes effect. Ids cannot be guessed from hashes without the key. */
export function createNameUser({ key, isHashed }: { key: Uint8Array; isHashed: () => boolean }): NameUser {
  const known = new Map<string, string>();
  return (userId) => {
    if (!isHashed() || userId === '') return userId;
    const hashed =
      known.get(userId) ?? createHmac('sha256', key).update('log').update(userId).digest('hex').slice(0, 16);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(userId, hashed);
    return hashed;
  };
}

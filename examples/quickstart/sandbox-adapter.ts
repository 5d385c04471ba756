import { readFileSync, writeFileSync } from 'node:fs';
import type { Adapter, AdapterPayload } from 'oidc-provider';

interface Entry {
  payload: AdapterPayload;
  /** Seconds since the epoch; null = never. */
  expiresAt: number | null;
}

const now = () => Math.floor(Date.now() / 1000);

/** Stores everything of oidc-provider in memory, and in one file after each change. It is for a sandbox only. */
export function createFileAdapter(file: string): (model: string) => Adapter {
  const entries = readEntries(file);
  const save = () => writeFileSync(file, JSON.stringify([...entries]), { mode: 0o600 });
  const find = (test: (payload: AdapterPayload) => boolean) =>
    [...entries.values()].find(({ payload, expiresAt }) => test(payload) && (expiresAt ?? Infinity) > now())?.payload;
  return (model) => {
    const key = (id: string) => `${model}:${id}`;
    return {
      async upsert(id, payload, expiresIn) {
        for (const [name, { expiresAt }] of entries) if (expiresAt !== null && expiresAt <= now()) entries.delete(name);
        entries.set(key(id), { payload, expiresAt: expiresIn ? now() + expiresIn : null });
        save();
      },
      async find(id) {
        const entry = entries.get(key(id));
        return entry && (entry.expiresAt ?? Infinity) > now() ? entry.payload : undefined;
      },
      findByUid: async (uid) => find((payload) => payload.uid === uid && payload.kind === model),
      findByUserCode: async (userCode) => find((payload) => payload.userCode === userCode && payload.kind === model),
      async consume(id) {
        const entry = entries.get(key(id));
        if (entry) entry.payload.consumed = now();
        save();
      },
      async destroy(id) {
        entries.delete(key(id));
        save();
      },
      async revokeByGrantId(grantId) {
        for (const [name, { payload }] of entries) if (payload.grantId === grantId) entries.delete(name);
        save();
      },
    };
  };
}

function readEntries(file: string): Map<string, Entry> {
  try {
    return new Map(JSON.parse(readFileSync(file, 'utf8')) as [string, Entry][]);
  } catch {
    // The first start, or a truncated file: the sandbox starts empty.
    return new Map();
  }
}

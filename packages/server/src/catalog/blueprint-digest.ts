import { createHash } from 'node:crypto';
import type { Blueprint } from './blueprint-catalog.ts';
import { isMap } from './deep-merge.ts';

/** A digest of a version and what it extends. Comments and the order of keys do not matter. */
export function blueprintDigest({ auth, config, requests }: Pick<Blueprint, 'auth' | 'config' | 'requests'>): string {
  const text = JSON.stringify(sorted({ auth, config, requests }));
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}

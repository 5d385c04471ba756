import { createHash } from 'node:crypto';
import type { Blueprint } from './blueprint-catalog.ts';
import { isMap } from '../sources/deep-merge.ts';

/** Returns a digest of a version, merged with what it extends. Comments and the order of keys do not affect it. */
export function blueprintDigest({ auth, config, requests }: Pick<Blueprint, 'auth' | 'config' | 'requests'>): string {
  const text = JSON.stringify(sortKeys({ auth, config, requests }));
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isMap(value)) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sortKeys(member)]));
}

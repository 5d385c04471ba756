import { deepMerge, isMap, mergeHeaders } from './deep-merge.ts';

/** The sections that a Blueprint and an Integration have, before they are checked. */
export interface Sections {
  readonly auth?: unknown;
  readonly config?: unknown;
  readonly requests?: unknown;
}

/** Merges sections over those that they extend: an Integration over its Blueprint, or a version over another one. */
export function mergeSections(base: Sections | undefined, own: Sections): Required<Sections> {
  return {
    auth: deepMerge(base?.auth, own.auth) ?? {},
    config: deepMerge(base?.config, own.config) ?? {},
    requests: mergeRequests(base?.requests, own.requests) ?? {},
  };
}

function mergeRequests(base: unknown, own: unknown): unknown {
  const merged = deepMerge(base, own);
  if (!isMap(merged) || !isMap(base) || !isMap(own) || own['headers'] === null) return merged;
  return { ...merged, headers: mergeHeaders(base['headers'], own['headers']) };
}

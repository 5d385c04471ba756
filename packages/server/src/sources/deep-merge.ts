import { WrittenNumber } from '../schema/written-number.ts';

/** Whether a value is a map, and not a list or a scalar. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof WrittenNumber);
}

/** Merges `override` over `base`, key by key: maps merge, lists and scalars replace, `null` removes. */
export function deepMerge(base: unknown, override: unknown): unknown {
  if (override === undefined) return base;
  if (!isMap(override)) return override;
  const result: Record<string, unknown> = isMap(base) ? { ...base } : {};
  for (const [key, value] of Object.entries(override)) {
    if (value === null) delete result[key];
    else result[key] = deepMerge(result[key], value);
  }
  return result;
}

/** Merges header maps. Names compare without case (RFC 9110 §5.1). */
export function mergeHeaders(base: unknown, override: unknown): unknown {
  if (!isMap(base) || !isMap(override)) return deepMerge(base, override);
  const overridden = new Set(Object.keys(override).map((name) => name.toLowerCase()));
  const kept = Object.fromEntries(Object.entries(base).filter(([name]) => !overridden.has(name.toLowerCase())));
  return deepMerge(kept, override);
}

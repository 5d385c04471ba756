const FIRST_MS = 1_000;
const MAX_MS = 300_000;

/** Bounds of a back-off, in milliseconds. */
interface BackOffBounds {
  /** From 0 to 1. */
  readonly random: () => number;
  readonly firstMs?: number;
  readonly maxMs?: number;
}

/** Returns the back-off in milliseconds after this many failures in a row. It doubles, and half of it is random. */
export function backOffMs(failures: number, { random, firstMs = FIRST_MS, maxMs = MAX_MS }: BackOffBounds): number {
  const full = Math.min(firstMs * 2 ** failures, maxMs);
  return Math.round(full / 2 + (full / 2) * random());
}

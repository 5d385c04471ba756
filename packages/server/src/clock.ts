// Wall and monotonic clock drift apart by less; what is more is a step of the wall clock, or a sleep of the machine.
const TOLERANCE_MS = 500;
// Long enough for a clock that is set wrong and put right again, short enough after a machine's sleep.
const CONFIRMED_AFTER_MS = 5_000;

/**
 * The time in milliseconds since the epoch: the wall clock's, but a step of it counts only when it has lasted for five
 * seconds. A step that is taken back at once would otherwise stay in every expiry that is stored meanwhile. Between steps
 * the time never goes back.
 */
export function createClock(
  wall: () => number = Date.now,
  monotonic: () => number = () => performance.now(),
): () => number {
  let offset = wall() - monotonic();
  let latest = wall();
  let steppedAt: number | undefined;
  return () => {
    const measured = monotonic();
    const deviation = wall() - (measured + offset);
    if (Math.abs(deviation) <= TOLERANCE_MS) {
      steppedAt = undefined;
      // Drift, and the fine corrections of a time service, are followed; never backwards.
      if (deviation > 0) offset += deviation;
    } else {
      steppedAt ??= measured;
      if (measured - steppedAt >= CONFIRMED_AFTER_MS) {
        offset += deviation;
        latest = Number.NEGATIVE_INFINITY;
        steppedAt = undefined;
      }
    }
    latest = Math.max(latest, measured + offset);
    return Math.floor(latest);
  };
}

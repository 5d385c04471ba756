// Normal drift between wall clock and monotonic clock is smaller. A larger difference is a step of the wall clock, or a
// sleep of the machine.
const TOLERANCE_MS = 500;
// Long enough for a clock that is set wrong and corrected; short enough after a machine's sleep.
const CONFIRMED_AFTER_MS = 5_000;

/**
 * The time in milliseconds since the epoch, by the wall clock. A step counts only after it has lasted for five seconds:
 * otherwise a step that is reverted at once would stay in every stored expiry. Between steps the time never goes back.
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
      // Follows drift and the small corrections of a time service; never backwards.
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

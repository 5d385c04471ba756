/**
 * The time in milliseconds since the epoch, never going back: a wall clock that is set back would make expired tokens look
 * valid, and a monotonic one alone stands still while the machine sleeps, so the later of the two counts.
 */
export function createClock(
  wall: () => number = Date.now,
  monotonic: () => number = () => performance.now(),
): () => number {
  let latest = wall();
  let measured = monotonic();
  return () => {
    const since = monotonic() - measured;
    measured += since;
    latest = Math.max(wall(), latest + since);
    return Math.floor(latest);
  };
}

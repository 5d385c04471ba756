/**
 * Loaded into a server's process before anything else: at each SIGUSR2 its wall clock is set wrong, by a day forward or a
 * second and a half back, and put right half a second later. Timers and the monotonic clock go on as they are.
 */
const LASTS_MS = 500;
const STEPS_MS = [86_400_000, -1_500];

const wall = Date.now;
let step = 0;
let jumps = 0;
Date.now = () => wall() + step;
process.on('SIGUSR2', () => {
  step = STEPS_MS[jumps % STEPS_MS.length] ?? 0;
  jumps += 1;
  setTimeout(() => (step = 0), LASTS_MS).unref();
});

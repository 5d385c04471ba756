/**
 * Loaded into a server’s process first. SIGUSR2 sets its wall clock a day forward or 1.5 seconds back for half a
 * second. Timers and the monotonic clock are unchanged.
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

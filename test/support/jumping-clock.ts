/**
 * Loaded into a server's process before anything else: its wall clock is set wrong every few seconds, by a day forward or
 * a second and a half back, and put right a second later. Timers and the monotonic clock go on as they are.
 */
const EVERY_MS = 4_000;
const LASTS_MS = 1_000;
const STEPS_MS = [86_400_000, -1_500];

const wall = Date.now;
let step = 0;
let jumps = 0;
Date.now = () => wall() + step;
setInterval(() => {
  step = STEPS_MS[(jumps += 1) % STEPS_MS.length] ?? 0;
  setTimeout(() => (step = 0), LASTS_MS).unref();
}, EVERY_MS).unref();

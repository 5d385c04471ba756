import { parseArgs } from 'node:util';
import { fuzz } from '../test/support/fuzz.ts';

// A million hostile inputs for the code that joins URLs, sets headers, fills placeholders and reads answers. The same seed
// makes the same inputs.
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    inputs: { type: 'string', default: '1000000' },
  },
});
const seed = Number(values.seed);
const inputs = Number(values.inputs);
const started = performance.now();
const { isTTY } = process.stderr;
const { refused } = fuzz({
  seed,
  inputs,
  onProgress: (done) => isTTY && process.stderr.write(`\r${Math.round((done / inputs) * 100)} %`),
});
if (isTTY) process.stderr.write('\r');
const seconds = (performance.now() - started) / 1000;
process.stdout.write(
  `${inputs} inputs with seed ${seed} in ${seconds.toFixed(1)} s: ${refused} refused, ${inputs - refused} taken, none escaped\n`,
);

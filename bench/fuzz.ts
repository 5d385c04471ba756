import { parseArgs } from 'node:util';
import { fuzz } from '../test/support/fuzz.ts';
import { findNonlinear, READERS } from '../test/support/linearity.ts';

// Sends a million hostile inputs to the code that joins URLs, sets headers, renders templates and reads responses. The
// same seed makes the same inputs. Then every reader of outside text gets 1 MiB of text that could make it slow.
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
  `${inputs} inputs with seed ${seed} in ${seconds.toFixed(1)} s: ` +
    `${refused} rejected, ${inputs - refused} accepted, none escaped\n`,
);

const nonlinear = findNonlinear(1_048_576);
process.stdout.write(
  nonlinear.length === 0
    ? `${Object.keys(READERS).length} readers of outside text take linear time for 1 MiB\n`
    : 'These readers take more than linear time, in ms for half of 1 MiB and for all of it:\n',
);
for (const { reader, piece, half, whole } of nonlinear)
  process.stdout.write(`  ${reader} on ${JSON.stringify(piece)}: ${half.toFixed(0)}, ${whole.toFixed(0)}\n`);
if (nonlinear.length > 0) process.exitCode = 1;

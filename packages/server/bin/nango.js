#!/usr/bin/env node
// Plain JavaScript without imports, so that an old Node gets as far as this sentence.
const MINIMUM = 24;

if (Number(process.versions.node.split('.')[0]) < MINIMUM) {
  process.stderr.write(
    `Nango needs Node ${MINIMUM} or newer; this is ${process.version}. In a project: npm install --save-dev node@24\n`,
  );
  process.exitCode = 1;
} else {
  await import('../dist/cli.js');
}

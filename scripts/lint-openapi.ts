import { join } from 'node:path';
import { createConfig, formatProblems, getTotals, lint } from '@redocly/openapi-core';

// Checks the OpenAPI document against the specification, and for what client generators need.
const config = await createConfig({
  extends: ['recommended'],
  rules: {
    // Every server is its user's own, first on their own machine.
    'no-server-example.com': 'off',
    // A form from a provider gets only a redirect as its response.
    'operation-2xx-response': 'off',
  },
});
const problems = await lint({ ref: join(import.meta.dirname, '../packages/server/openapi.json'), config });
formatProblems(problems, { totals: getTotals(problems), version: '', format: 'stylish' });
const { errors, warnings } = getTotals(problems);
process.stdout.write(errors + warnings === 0 ? 'The OpenAPI document has no faults.\n' : '');
if (errors + warnings > 0) process.exitCode = 1;

import { join } from 'node:path';
import { createConfig, formatProblems, getTotals, lint } from '@redocly/openapi-core';

// Checks the OpenAPI document against the specification, and for what client generators need.
const config = await createConfig({
  extends: ['recommended'],
  rules: {
    // Each user runs their own server, first on their own machine.
    'no-server-example.com': 'off',
    // The response to a provider's form is always a redirect.
    'operation-2xx-response': 'off',
  },
});
const problems = await lint({ ref: join(import.meta.dirname, '../packages/server/openapi.json'), config });
formatProblems(problems, { totals: getTotals(problems), version: '', format: 'stylish' });
const { errors, warnings } = getTotals(problems);
process.stdout.write(errors + warnings === 0 ? 'The OpenAPI document has no problems.\n' : '');
if (errors + warnings > 0) process.exitCode = 1;

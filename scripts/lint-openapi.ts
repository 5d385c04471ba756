import { join } from 'node:path';
import { createConfig, formatProblems, getTotals, lint } from '@redocly/openapi-core';

// Holds the OpenAPI document to the specification and to what makes it useful to generators of clients.
const config = await createConfig({
  extends: ['recommended'],
  rules: {
    // Every server is its user's own, on its own machine first.
    'no-server-example.com': 'off',
    // A form that comes back from a provider is answered by a redirect alone.
    'operation-2xx-response': 'off',
  },
});
const problems = await lint({ ref: join(import.meta.dirname, '../packages/server/openapi.json'), config });
formatProblems(problems, { totals: getTotals(problems), version: '', format: 'stylish' });
const { errors, warnings } = getTotals(problems);
process.stdout.write(errors + warnings === 0 ? 'The OpenAPI document has no faults.\n' : '');
if (errors + warnings > 0) process.exitCode = 1;

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { cleanEnvironment } from './support/server-process.ts';

const run = promisify(execFile);
const START = join(import.meta.dirname, '../examples/quickstart/start.ts');

test('npm start -- --check walks the whole flow', { timeout: 60_000 }, async () => {
  const { stdout } = await run(process.execPath, [START, '--check'], { env: cleanEnvironment() });
  assert.equal(stdout.match(/^✓ /gm)?.length, 8, stdout);
  assert.ok(!stdout.includes('✗'));
});

test('an unknown flag exits with 2 and shows the help', async () => {
  await assert.rejects(run(process.execPath, [START, '--chek'], { env: cleanEnvironment() }), {
    code: 2,
    stderr: /Unknown flag --chek[^]*--check/,
  });
});

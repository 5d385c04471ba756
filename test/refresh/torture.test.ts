import assert from 'node:assert/strict';
import { test } from 'node:test';
import { torture } from '../support/torture.ts';

for (const [name, servers] of [
  ['four servers on PostgreSQL', 4],
  ['one server on SQLite', 1],
] as const) {
  test(`R1, R2, R4, R6, S4, D10: servers under attack lose no grant (${name})`, async (t) => {
    const report = await torture(t, {
      seconds: 20,
      connections: 60,
      clients: 12,
      servers,
      // The test may not stop a database that it did not start.
      databaseRestarts: process.env['DATABASE_URL'] ? 0 : 1,
      log: (line) => t.diagnostic(line),
    });
    t.diagnostic(JSON.stringify({ ...report, wrongTokens: report.wrongTokens.length }));
    assert.deepEqual(report.wrongTokens, []);
    assert.deepEqual(report.lostWithoutCause, []);
    assert.deepEqual(report.unannounced, []);
    assert.equal(report.provider.needless, 0);
    assert.equal(report.leaked, false);
    // A busy machine does less, but the attack must have met refreshes and calls.
    assert.ok(report.provider.rotated > 10 && (report.answers['200'] ?? 0) > 10);
  });
}

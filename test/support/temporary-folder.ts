import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

/** Something that runs code when it ends: a test, or a suite's `after`. */
export type Cleanup = Pick<TestContext, 'after'>;

/** A folder that is removed with its test; `files` are written into it. */
export function temporaryFolder(cleanup: Cleanup, files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'nango-test-'));
  cleanup.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Something that runs code at its end: a test, or {@link createCleanup}. */
export interface Cleanup {
  after(end: () => void | Promise<void>): void;
}

/** A cleanup for a suite, because `before` has no test context. Call `run` in the `after` of the suite. */
export function createCleanup(): Cleanup & { run(): Promise<void> } {
  const ends: (() => void | Promise<void>)[] = [];
  return {
    after: (end) => void ends.push(end),
    async run() {
      for (const end of ends.reverse()) await end();
    },
  };
}

/** A folder with `files` that is removed after its test. */
export function temporaryFolder(cleanup: Cleanup, files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'nango-test-'));
  cleanup.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

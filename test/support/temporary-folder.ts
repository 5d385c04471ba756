import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Something that runs code when it ends: a test, or {@link createCleanup}. */
export interface Cleanup {
  after(end: () => void | Promise<void>): void;
}

/** A cleanup for a suite, whose set-up in `before` has no test context; call `run` in its `after`. */
export function createCleanup(): Cleanup & { run(): Promise<void> } {
  const ends: (() => void | Promise<void>)[] = [];
  return {
    after: (end) => void ends.push(end),
    async run() {
      for (const end of ends.reverse()) await end();
    },
  };
}

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

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

// Lists the lines of more than 120 characters in code, comments and prose. The formatter breaks only some of them.
// A row of a Markdown table and a URL cannot be broken, and the files that `.prettierignore` lists are generated.
const root = join(import.meta.dirname, '..');
const MAX_LENGTH = 120;
const CHECKED = ['ts', 'js', 'md', 'yaml', 'yml', 'css', 'html'];

function isTooLong(line: string, kind: string): boolean {
  const isTableRow = kind === 'md' && line.trimStart().startsWith('|');
  return line.length > MAX_LENGTH && !isTableRow && !/https?:\/\//.test(line);
}

/** Our files: what Git tracks, without the generated files. */
function ownFiles(): string[] {
  const generated = readFileSync(join(root, '.prettierignore'), 'utf8').split('\n').filter(Boolean);
  const tracked = execFileSync('git', ['ls-files', '-z', '--', ...CHECKED.map((kind) => `*.${kind}`)], {
    cwd: root,
    encoding: 'utf8',
  });
  return tracked.split('\0').filter((file) => file !== '' && !generated.some((path) => file.startsWith(path)));
}

const failing = ownFiles().flatMap((file) => {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  const numbers = lines.flatMap((line, index) => (isTooLong(line, extname(file).slice(1)) ? [index + 1] : []));
  return numbers.length > 0 ? [{ file, numbers }] : [];
});
for (const { file, numbers } of failing)
  process.stdout.write(
    `${file}: ${numbers.length} of more than ${MAX_LENGTH} characters, in line ${numbers.join(', ')}\n`,
  );
if (failing.length > 0) process.exitCode = 1;

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

// Lists the lines that are longer than the formatter's width. The formatter breaks code and JSON, except for strings
// and regular expressions, which may be long. It breaks neither comments nor prose, so these are checked here.
const root = join(import.meta.dirname, '..');
const MAX_LENGTH = 120;
const COMMENT = /^\s*\/[/*]|^\s+\* |[;,{}()] \/\/ /;

/** Which lines of each kind of file are checked. A row of a table is one line. */
const CHECKED: Readonly<Record<string, (line: string) => boolean>> = {
  ts: (line) => COMMENT.test(line),
  md: (line) => !line.trimStart().startsWith('|'),
  yaml: () => true,
  yml: () => true,
};

function isTooLong(line: string, kind: string): boolean {
  return line.length > MAX_LENGTH && !/https?:\/\//.test(line) && CHECKED[kind]?.(line) === true;
}

/** Our files: what Git tracks, without the generated files that the formatter skips, too. */
function ownFiles(): string[] {
  const generated = readFileSync(join(root, '.prettierignore'), 'utf8').split('\n').filter(Boolean);
  const tracked = execFileSync('git', ['ls-files', '-z', '--', ...Object.keys(CHECKED).map((kind) => `*.${kind}`)], {
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

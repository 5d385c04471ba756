import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateFiles } from './generated-files.ts';

// Writes the generated files. With --check, fails if a committed one is stale.
const folder = join(import.meta.dirname, '../packages/server');
const check = process.argv.includes('--check');
const stale: string[] = [];

for (const { path, text } of await generateFiles()) {
  const file = join(folder, path);
  const current = await readFile(file, 'utf8').catch(() => '');
  if (current === text) continue;
  stale.push(path);
  if (check) continue;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

if (check && stale.length > 0) {
  process.stderr.write(`Stale: ${stale.join(', ')}. Run: npm run generate\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(stale.length > 0 ? `Written: ${stale.join(', ')}\n` : 'Generated files are up to date.\n');
}

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { LAYERS } from '../../scripts/layers.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const SOURCE = 'packages/server/src';
const OXLINT = join(ROOT, 'node_modules/oxlint/bin/oxlint');
const isFile = (name: string) => name.endsWith('.ts');
const fileIn = (name: string, depth: number) => (isFile(name) ? name : `${name}/${'deeper/'.repeat(depth)}probe.ts`);

test('every folder of the server is one of the layers', () => {
  const found = readdirSync(join(ROOT, SOURCE)).filter((name) => !name.endsWith('.test.ts'));
  assert.deepEqual(found.toSorted(), Object.keys(LAYERS).toSorted());
});

test('a folder may not import another folder that may import it', () => {
  const rows = Object.entries(LAYERS);
  // Each folder imports only rows below its own, so there are no cycles.
  for (const [index, [name, { mayImport }]] of rows.entries())
    for (const other of mayImport)
      assert.ok(rows.findIndex(([row]) => row === other) > index, `${name} imports ${other}`);
});

test('every folder uses every import that it may have', () => {
  const importer = /(?:from|import) '((?:\.\.?\/)+)([^']+)'/g;
  const imports = new Set<string>();
  for (const path of globSync('**/*.ts', { cwd: join(ROOT, SOURCE) }).filter((name) => !name.endsWith('.test.ts')))
    for (const [, up = '', rest = ''] of readFileSync(join(ROOT, SOURCE, path), 'utf8').matchAll(importer)) {
      const [folder = ''] = path.split('/');
      const [imported = ''] = join(dirname(path), up, rest).split('/');
      imports.add(`${folder} imports ${imported}`);
    }
  const permissions = Object.entries(LAYERS).flatMap(([name, { mayImport }]) =>
    mayImport.map((other) => `${name} imports ${other}`),
  );
  assert.deepEqual(
    permissions.filter((permission) => !imports.has(permission)),
    [],
  );
});

test('the linter refuses the environment, the clock and randomness where they are arguments', async (t) => {
  const folder = temporaryFolder(t);
  cpSync(join(ROOT, '.oxlintrc.layers.json'), join(folder, '.oxlintrc.json'));
  const uses = ['process.env', 'Date.now', 'Math.random'];
  const expected = Object.entries(LAYERS).flatMap(([name, { readsEnvironment = false, readsClock = false }]) => {
    const path = `${SOURCE}/${fileIn(name, 0)}`;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), uses.map((use) => `export const ${use.replace('.', '_')} = ${use};\n`).join(''));
    return [readsEnvironment, readsClock, readsClock].flatMap((may, index) => (may ? [] : [`${path}:${index + 1}`]));
  });
  assert.deepEqual(await refusedLines(folder, 'no-restricted-properties'), expected.toSorted());
});

test('the linter rejects every forbidden import of every folder, and no other import', async (t) => {
  const folder = temporaryFolder(t);
  assert.match(readFileSync(join(ROOT, '.oxlintrc.json'), 'utf8'), /"extends": \["\.\/\.oxlintrc\.layers\.json"\]/);
  cpSync(join(ROOT, '.oxlintrc.layers.json'), join(folder, '.oxlintrc.json'));
  const forbidden = new Set<string>();
  for (const [name, { mayImport }] of Object.entries(LAYERS))
    for (const depth of isFile(name) ? [0] : [0, 1]) {
      const path = `${SOURCE}/${fileIn(name, depth)}`;
      const up = isFile(name) ? './' : `../${'../'.repeat(depth)}`;
      const others = Object.keys(LAYERS).filter((other) => other !== name);
      const lines = others.map((other) => `import '${up}${fileIn(other, 0)}';`);
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `${lines.join('\n')}\n`);
      for (const [index, other] of others.entries())
        if (!mayImport.includes(other)) forbidden.add(`${path}:${index + 1}`);
    }
  assert.deepEqual(await refusedLines(folder, 'no-restricted-imports'), [...forbidden].toSorted());
});

/** The lines below a folder that a rule of the linter refuses, sorted. */
async function refusedLines(folder: string, rule: string): Promise<string[]> {
  const args = [OXLINT, '--format=unix', '--allow=all', `--deny=${rule}`, SOURCE];
  const output = await new Promise<string>((resolve) =>
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 24 }, (_error, stdout) => resolve(stdout)),
  );
  const refused = output
    .split('\n')
    .flatMap((line) => (line.includes(rule) ? (/^(\S+?:\d+):\d+: /.exec(line)?.[1] ?? []) : []));
  return refused.toSorted();
}

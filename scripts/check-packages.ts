import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

// Checks the tarballs as their consumers see them: the manifests with publint, the types with attw, and the size of the
// browser package. Run it after `npm run build`.
const root = join(import.meta.dirname, '..');
const BUILT = [
  'action/dist/index.d.ts',
  'frontend/dist/index.d.ts',
  'node-client/dist/index.d.ts',
  'server/dist/cli.js',
];
const missing = BUILT.filter((file) => !existsSync(join(root, 'packages', file)));
if (missing.length > 0) {
  process.stderr.write(
    `These files are missing in packages/: ${missing.join(', ')}. Build them first: npm run build\n`,
  );
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'nango-packages-'));
const MAX_FRONTEND_GZIP_BYTES = 3_072;
const node = (...parameters: string[]) => execFileSync(process.execPath, parameters, { cwd: root, stdio: 'inherit' });

try {
  node(join(root, 'scripts/pack.ts'), folder);
  for (const tarball of readdirSync(folder)) {
    node(join(root, 'node_modules/publint/src/cli.js'), join(folder, tarball), '--strict');
    // The server is a command line program, so nobody imports it.
    if (tarball.includes('server')) continue;
    const profile = tarball.includes('node-client') ? 'node16' : 'esm-only';
    node(
      join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js'),
      join(folder, tarball),
      '--profile',
      profile,
      '--exclude-entrypoints',
      'script',
    );
  }
  const size = gzipSync(readFileSync(join(root, 'packages/frontend/dist/index.js'))).length;
  process.stdout.write(`@nangohq/frontend: ${size} bytes gzipped (limit ${MAX_FRONTEND_GZIP_BYTES})\n`);
  if (size > MAX_FRONTEND_GZIP_BYTES) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

// Makes the tarballs that npm would publish, in artifacts/ or in the folder that the argument names.
const root = join(import.meta.dirname, '..');
const folder = process.argv[2] ?? join(root, 'artifacts');
const packages = ['action', 'frontend', 'node-client', 'server'];

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
execFileSync(
  'npm',
  ['pack', '--silent', '--pack-destination', folder, ...packages.map((name) => join(root, 'packages', name))],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  },
);

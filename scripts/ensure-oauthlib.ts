import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findOauthlib } from '../test/support/oauthlib.ts';

// Python's oauthlib is the reference for OAuth 1.0a. If it is missing, this installs Debian's package and says so.
const PACKAGES = ['python3-oauthlib', 'python3-jwt', 'python3-cryptography'];
const canInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

if (!findOauthlib() && canInstall) {
  process.stdout.write(`Python’s oauthlib was not found: installing ${PACKAGES.join(', ')} …\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
}

const found = findOauthlib();
if (found)
  process.stdout.write(
    `oauthlib: ${execFileSync(found, ['-c', 'import oauthlib; print(oauthlib.__version__)']).toString()}`,
  );
else if (process.env['CI']) {
  process.stderr.write('Python’s oauthlib is missing and could not be installed.\n');
  process.exitCode = 1;
} else process.stdout.write('Python’s oauthlib is missing and cannot be installed here: its tests are skipped.\n');

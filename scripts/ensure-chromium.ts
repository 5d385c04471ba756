import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findChromium } from '../test/support/chromium.ts';

// The browser tests need a Chromium. If none is installed, this installs one and says so.
const found = findChromium();
if (found) process.stdout.write(`Chromium: ${found}\n`);
else if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
  process.stdout.write('No Chromium was found: installing Debian’s package (apt-get install chromium) …\n');
  const options = {
    stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  execFileSync('apt-get', ['update', '-qq'], options);
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], options);
} else {
  process.stdout.write('No Chromium was found: downloading Playwright’s …\n');
  execFileSync(
    process.execPath,
    [join(import.meta.dirname, '../node_modules/playwright-core/cli.js'), 'install', 'chromium'],
    { stdio: 'inherit' },
  );
}
if (!findChromium()) {
  process.stderr.write('Chromium could not be installed. Install it, or set CHROMIUM_PATH.\n');
  process.exitCode = 1;
}

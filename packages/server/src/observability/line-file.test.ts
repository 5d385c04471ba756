import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import { LineFile } from './line-file.ts';

const gap = (lines: number) => `(${lines} lines are missing)\n`;
const fullDisk = existsSync('/dev/full') ? false : 'this system has no /dev/full';

test('lines are written in order and later than the call, and the last lines when the file is closed', (t) => {
  const path = join(temporaryFolder(t), 'log');
  const fd = openSync(path, 'a');
  t.after(() => closeSync(fd));
  const file = new LineFile({ fd, gap });
  file.write('one ü\n');
  assert.equal(readFileSync(path, 'utf8'), '');
  file.write('two\n');
  file.close();
  assert.equal(readFileSync(path, 'utf8'), 'one ü\ntwo\n');
});

test('with immediate, a line is in the file when write returns', (t) => {
  const path = join(temporaryFolder(t), 'log');
  const fd = openSync(path, 'a');
  t.after(() => closeSync(fd));
  const file = new LineFile({ fd, gap, immediate: true });
  file.write('one\n');
  assert.equal(readFileSync(path, 'utf8'), 'one\n');
});

test('lines that wait for a flush, and lines that cause a flush, are written once each', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const path = join(temporaryFolder(t), 'log');
  const fd = openSync(path, 'a');
  t.after(() => closeSync(fd));
  const file = new LineFile({ fd, gap });
  file.write('first\n');
  t.mock.timers.tick(100);
  const long = `${'x'.repeat(100_000)}\n`;
  file.write(long);
  await stat(path);
  file.write('last\n');
  file.close();
  await stat(path);
  assert.equal(readFileSync(path, 'utf8'), `first\n${long}last\n`);
});

for (const immediate of [false, true])
  test(
    `D6: on a full disk, write does not throw, few lines are kept, and one error is reported (immediate: ${immediate})`,
    { skip: fullDisk },
    (t) => {
      const fd = openSync('/dev/full', 'w');
      t.after(() => closeSync(fd));
      const troubles: object[] = [];
      const file = new LineFile({ fd, gap, immediate, onTrouble: (trouble) => troubles.push(trouble) });
      for (let count = 0; count < 10_000; count += 1) file.write(`${'x'.repeat(999)}\n`);
      file.close();
      assert.ok(file.lost > 5_000, String(file.lost));
      assert.equal(troubles.length, 1);
    },
  );

test(
  'D6: the log says how many lines were dropped because of a slow reader',
  { skip: process.platform === 'win32' },
  async (t) => {
    const folder = temporaryFolder(t);
    const [pipe, path] = [join(folder, 'pipe'), join(folder, 'log')];
    execFileSync('mkfifo', [pipe]);
    const reader = spawn('sh', ['-c', 'cat "$0" > "$1"', pipe, path], { stdio: 'ignore' });
    const fd = openSync(pipe, 'w');
    const file = new LineFile({ fd, gap });
    const line = `${'x'.repeat(1_048_575)}\n`;
    // One line is being written, and four lines wait.
    for (let count = 0; count < 7; count += 1) file.write(line);
    assert.equal(file.lost, 2);
    while (file.lost > 0) await turn();
    const ended = once(reader, 'exit');
    file.close();
    while (!readFileSync(path, 'utf8').endsWith('x\n(2 lines are missing)\n')) await turn();
    closeSync(fd);
    await ended;
  },
);

test('D6: a log whose reader has ended does not prevent the end of the process', (t) => {
  const fd = openSync(join(temporaryFolder(t), 'log'), 'a');
  closeSync(fd);
  const file = new LineFile({ fd, gap });
  file.write('one\n');
  file.close();
});

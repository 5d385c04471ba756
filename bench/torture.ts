import { parseArgs } from 'node:util';
import { torture } from '../test/support/torture.ts';
import { createCleanup } from '../test/support/temporary-folder.ts';

// Attacks the refresh engine while callers never stop. Servers are killed, their clocks jump, and the disk for their
// logs is full. The provider is slow and fails, and the database restarts.
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '180' },
    connections: { type: 'string', default: '500' },
    clients: { type: 'string', default: '32' },
    servers: { type: 'string', default: '4' },
    'database-restarts': { type: 'string', default: '2' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(
    'npm run torture -- [--seconds 180] [--connections 500] [--clients 32] [--servers 4] [--database-restarts 2]\n' +
      'Several servers share one PostgreSQL database. A single server uses the embedded store.\n' +
      'The exit code is 1 if a promise is broken.\n',
  );
  process.exit(0);
}
const cleanup = createCleanup();
try {
  const report = await torture(cleanup, {
    seconds: Number(values.seconds),
    connections: Number(values.connections),
    clients: Number(values.clients),
    servers: Number(values.servers),
    databaseRestarts: Number(values['database-restarts']),
    log: (line) => void process.stdout.write(`${line}\n`),
  });
  const { provider, kills, answers, wrongTokens, lostWithoutCause, unannounced, lostWithResponse, leaked } = report;
  const lines = [
    `servers killed                                 ${kills}`,
    `responses to callers                           ${JSON.stringify(answers)}`,
    `token requests that got new tokens             ${provider.rotated}`,
    `  with the previous refresh token in grace     ${provider.grace}`,
    `  that were needless                           ${provider.needless}   bar 0`,
    `token requests that were rejected or hung      ${provider.failed}`,
    `token responses that were truncated            ${provider.cut}`,
    `wrong or expired tokens given to callers       ${wrongTokens.length}   bar 0`,
    `grants lost without a lost response            ${lostWithoutCause.length}   bar 0`,
    `grants lost and not marked                     ${unannounced.length}   bar 0`,
    `grants lost with a lost response, all marked   ${lostWithResponse}`,
    `secrets in the servers' output                 ${leaked ? 'FOUND' : 'none'}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  const broken = [...wrongTokens, ...lostWithoutCause, ...unannounced];
  for (const line of broken.slice(0, 20)) process.stdout.write(`BROKEN ${line}\n`);
  process.exitCode = broken.length > 0 || provider.needless > 0 || leaked ? 1 : 0;
} finally {
  await cleanup.run();
}

import { parseArgs } from 'node:util';
import { torture } from '../test/support/torture.ts';
import { createCleanup } from '../test/support/temporary-folder.ts';

// Attacks the refresh engine: servers are killed, their clocks jump, the disk under their logs is full, the provider is
// slow and fails, the database goes away, callers never stop.
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
      'Several servers share a PostgreSQL of their own; one has the embedded store. Exits with 1 when a promise is broken.\n',
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
    `servers killed                               ${kills}`,
    `calls of callers                             ${JSON.stringify(answers)}`,
    `token requests with new tokens in response      ${provider.rotated}`,
    `  of these for an old refresh token in grace ${provider.grace}`,
    `  of these needless                          ${provider.needless}   bar 0`,
    `token calls refused or left hanging          ${provider.failed}`,
    `token responses cut off                       ${provider.cut}`,
    `wrong or expired tokens handed out           ${wrongTokens.length}   bar 0`,
    `grants lost although no response was          ${lostWithoutCause.length}   bar 0`,
    `grants lost and not marked                   ${unannounced.length}   bar 0`,
    `grants lost with a response, each marked      ${lostWithResponse}`,
    `secrets in the servers' output               ${leaked ? 'FOUND' : 'none'}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  const broken = [...wrongTokens, ...lostWithoutCause, ...unannounced];
  for (const line of broken.slice(0, 20)) process.stdout.write(`BROKEN ${line}\n`);
  process.exitCode = broken.length > 0 || provider.needless > 0 || leaked ? 1 : 0;
} finally {
  await cleanup.run();
}

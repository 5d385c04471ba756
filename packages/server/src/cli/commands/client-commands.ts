import type { ConnectionReference } from '@nangohq/node-client';
import { InvalidArgumentError, type Command } from 'commander';
import type { ConnectFlags } from './connect-command.ts';
import type { ConnectionsFlags } from './connections-command.ts';
import type { EventsFlags } from './events-command.ts';
import type { HealthFlags } from './health-command.ts';
import { ACCOUNT, addClientOptions, ENV_FILE, FOLDER, JSON_OUTPUT, SERVER } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import type { TriggerFlags } from './trigger-command.ts';

/** Adds the commands that talk to a running server. */
export function addClientCommands(program: Command, terminal: Terminal): void {
  addConnectionsCommands(program.command('connections').description('list, show or delete connections'), terminal);
  addConnectCommand(program, terminal);
  addTriggerCommand(program, terminal);
  addEventsCommand(program, terminal);
  addHealthCommand(program, terminal);
  addWebhooksCommands(
    program.command('webhooks').description('list events that webhooks did not accept, or deliver them again'),
    terminal,
  );
}

function addConnectionsCommands(connections: Command, terminal: Terminal): void {
  addClientOptions(connections.command('list'))
    .description('list connections')
    .option('-u, --user <userId>', 'only connections of this user')
    .option('-i, --integration <name>', 'only connections to this Integration')
    .option('--user-prefix <text>', 'only users whose id begins with this')
    .option('-a, --account <name>', 'only this account')
    .option('--identity <id>', 'only connections of this user of the provider, by the provider’s id')
    .option('--status <status>', 'active or needs_reconnect')
    .option('--tag <name=value>', 'only connections with this tag; repeat it for more', collectPairs)
    .option(...JSON_OUTPUT)
    .action(async (flags: ConnectionsFlags) => {
      const { listConnections } = await import('./connections-command.ts');
      await listConnections(flags, terminal);
    });
  const show = addClientOptions(connections.command('show'))
    .description('show one connection')
    .argument('<integration>', 'the Integration, or a connection’s id alone')
    .argument('[userId]')
    .option(...ACCOUNT)
    .option('--show-secrets', 'print the credentials too')
    .option(...JSON_OUTPUT);
  show.action(async (integration: string, userId: string | undefined, flags: ConnectionsFlags) => {
    const { showConnection } = await import('./connections-command.ts');
    await showConnection(namedConnection(integration, userId, { flags, command: show }), { flags, terminal });
  });
  const remove = addClientOptions(connections.command('delete'))
    .description('delete one connection and its credentials')
    .argument('<integration>', 'the Integration, or a connection’s id alone')
    .argument('[userId]')
    .option(...ACCOUNT)
    .option('--revoke', 'first revoke the grant at the provider')
    .option(...JSON_OUTPUT);
  remove.action(async (integration: string, userId: string | undefined, flags: ConnectionsFlags) => {
    const { deleteConnection } = await import('./connections-command.ts');
    await deleteConnection(namedConnection(integration, userId, { flags, command: remove }), { flags, terminal });
  });
}

function addConnectCommand(program: Command, terminal: Terminal): void {
  addClientOptions(program.command('connect'))
    .description('connect an account: opens the browser, or prints the address')
    .argument('<integration>')
    .argument('<userId>')
    .option(...ACCOUNT)
    .option('--new-account', 'connect another account, which the server names')
    .option('--tag <name=value>', 'a tag of the connection; repeat it for more', collectPairs)
    .option('--no-browser', 'only print the address')
    .option('--device', 'show a code to enter on another device, if the provider supports it')
    .option('-c, --config <name=value>', 'a value of additionalConfig; may be repeated', collectPairs)
    .option('--credentials <file>', 'file with the credentials, as a JSON object; "-" reads them from stdin')
    .option(...JSON_OUTPUT)
    .addHelpText(
      'after',
      `
On a terminal, missing fields are prompted for.

Examples:
  nango connect acme 1
  nango connect acme-desk 1 --config subdomain=mycompany
  nango connect acme-drive robot --credentials service-account.json
  nango connect acme 1 --account work
  nango connect acme 1 --device`,
    )
    .action(async (integration: string, userId: string, flags: ConnectFlags) => {
      const { connectCommand } = await import('./connect-command.ts');
      process.exitCode = await connectCommand(integration, userId, { flags, terminal });
    });
}

function addTriggerCommand(program: Command, terminal: Terminal): void {
  const trigger = addClientOptions(program.command('trigger'))
    .description('run an Action and print what it returns, as JSON')
    .argument('<integration>')
    .argument('<action>')
    .argument('<userId>')
    .option(...ACCOUNT)
    .option('--input <json>', 'the Action’s input; "-" reads it from stdin')
    .option('--json', 'print on one line')
    .addHelpText('after', `\nExample:\n  nango trigger acme notify 1 --input '{"text":"Hello"}'`);
  trigger.action(async (integration: string, action: string, userId: string) => {
    const { triggerCommand } = await import('./trigger-command.ts');
    await triggerCommand({ integration, action, userId }, { flags: trigger.opts<TriggerFlags>(), terminal });
  });
}

function addHealthCommand(program: Command, terminal: Terminal): void {
  program
    .command('health')
    .description('check whether the server on this machine works')
    .option(...FOLDER)
    .option(...ENV_FILE)
    .option(...SERVER)
    .option('--ready', 'also check that its database works')
    .option(...JSON_OUTPUT)
    .addHelpText('after', '\nThe command needs no key. It uses the port of nango-config.yaml.')
    .action(async (flags: HealthFlags) => {
      const { healthCommand } = await import('./health-command.ts');
      process.exitCode = await healthCommand(flags, terminal);
    });
}

function addEventsCommand(program: Command, terminal: Terminal): void {
  addClientOptions(program.command('events'))
    .description('print the events of connections, beginning with the oldest that is stored')
    .option('--after <cursor>', 'continue after this cursor')
    .option('--follow', 'print new events until interrupted')
    .option(...JSON_OUTPUT)
    .addHelpText('after', '\nWith --json, each event is printed on one line. The last cursor is printed to stderr.')
    .action(async (flags: EventsFlags) => {
      const { eventsCommand } = await import('./events-command.ts');
      await eventsCommand(flags, terminal);
    });
}

function addWebhooksCommands(webhooks: Command, terminal: Terminal): void {
  addClientOptions(webhooks.command('dead'))
    .description('list events that a webhook did not accept within three days')
    .option(...JSON_OUTPUT)
    .action(async (flags: EventsFlags) => {
      const { listDeadCommand } = await import('./events-command.ts');
      await listDeadCommand(flags, terminal);
    });
  addClientOptions(webhooks.command('replay'))
    .description('deliver dead events again: all of a webhook, or one')
    .argument('<webhook>')
    .argument('[eventId]')
    .option(...JSON_OUTPUT)
    .action(async (webhook: string, eventId: string | undefined, flags: EventsFlags) => {
      const { replayCommand } = await import('./events-command.ts');
      await replayCommand({ webhook, eventId }, { flags, terminal });
    });
}

function collectPairs(pair: string, earlier: Record<string, string> = {}): Record<string, string> {
  const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
  if (name === undefined) throw new InvalidArgumentError('It must have the form name=value.');
  return { ...earlier, [name]: value };
}

const CONNECTION_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Returns the connection that the arguments name: by Integration and user, or by its id alone. */
function namedConnection(
  integrationOrId: string,
  userId: string | undefined,
  { flags: { account }, command }: { flags: ConnectionsFlags; command: Command },
): ConnectionReference {
  if (userId !== undefined) return { integration: integrationOrId, userId, account };
  if (!CONNECTION_ID.test(integrationOrId)) command.error("error: missing required argument 'userId'");
  if (account !== undefined) command.error('error: --account goes with an Integration and a user id, not with an id');
  return { connectionId: integrationOrId };
}

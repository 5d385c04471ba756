import type { Connection, ConnectionFilter, ConnectionReference } from '@nangohq/node-client';
import { UsageError } from '../failure.ts';
import { openClient, type ClientFlags } from '../client.ts';
import { formatTable, printable, type Terminal } from '../terminal.ts';

/** Flags of `nango connections …`. */
export interface ConnectionsFlags extends ClientFlags {
  readonly json?: boolean;
  readonly user?: string;
  readonly integration?: string;
  readonly account?: string;
  readonly identity?: string;
  readonly userPrefix?: string;
  readonly status?: string;
  readonly tag?: Record<string, string>;
  readonly showSecrets?: boolean;
  readonly revoke?: boolean;
}

/** `nango connections list`: lists connections. */
export async function listConnections(flags: ConnectionsFlags, terminal: Terminal): Promise<void> {
  const { nango } = await openClient(flags);
  const found = (await nango.getConnections(filterOf(flags))).returnValue;
  if (flags.json) return terminal.out(JSON.stringify(found, null, 2));
  if (found.length === 0)
    return terminal.err(
      Object.keys(filterOf(flags)).length > 0
        ? 'No connection matches.'
        : 'There are no connections yet. To make one: nango connect <integration> <userId>',
    );
  const rows = found.map((connection) => {
    const { integration, userId, account, authMode, status, lastModified } = connection;
    return [integration, userId, account, providerAccount(connection), authMode, status, lastModified].map(printable);
  });
  terminal.out(
    formatTable(
      [['INTEGRATION', 'USER ID', 'ACCOUNT', 'AT THE PROVIDER', 'AUTH MODE', 'STATUS', 'LAST MODIFIED'], ...rows],
      terminal.columns,
    ),
  );
}

/** Such as `the connection of user "1" to "gmail" (work)`. */
function describeConnection(connection: ConnectionReference): string {
  if ('connectionId' in connection) return `the connection ${connection.connectionId}`;
  const { integration, userId, account } = connection;
  return `the connection of user "${userId}" to "${integration}"${account === undefined ? '' : ` (${account})`}`;
}

/** The name or id of the account at the provider, if the provider says it. */
function providerAccount({ identity, additionalConfig }: Connection): string {
  const account =
    identity?.name ?? additionalConfig['account_name'] ?? identity?.user ?? additionalConfig['account_id'];
  return typeof account === 'string' ? account : '';
}

function filterOf({
  user,
  userPrefix,
  integration,
  account,
  identity,
  status,
  tag,
}: ConnectionsFlags): ConnectionFilter {
  if (status !== undefined && status !== 'active' && status !== 'needs_reconnect')
    throw new UsageError('--status must be active or needs_reconnect.');
  return {
    ...(user === undefined ? {} : { userId: user }),
    ...(userPrefix === undefined ? {} : { userIdPrefix: userPrefix }),
    ...(integration === undefined ? {} : { integration }),
    ...(account === undefined ? {} : { account }),
    ...(identity === undefined ? {} : { identity }),
    ...(status === undefined ? {} : { status }),
    ...(tag === undefined ? {} : { tags: tag }),
  };
}

/** `nango connections show`: prints a connection. Credentials are hidden without --show-secrets. */
export async function showConnection(
  connection: ConnectionReference,
  { flags, terminal }: { flags: ConnectionsFlags; terminal: Terminal },
): Promise<void> {
  const { nango } = await openClient(flags);
  const { credentials, ...found } = (await nango.getConnection(connection)).returnValue;
  const shown = { ...found, credentials: flags.showSecrets ? credentials : hideCredentials(credentials) };
  if (flags.json) return terminal.out(JSON.stringify(shown, null, 2));
  const ofCredentials = Object.entries(shown.credentials).map(
    ([name, value]) => [`credentials.${name}`, value] as const,
  );
  const rows = [...Object.entries(found), ...ofCredentials].map(([name, value]) =>
    [name, typeof value === 'string' ? value : JSON.stringify(value)].map(printable),
  );
  terminal.out(formatTable(rows, terminal.columns));
  if (!flags.showSecrets) terminal.err(terminal.style('gray', 'Credentials are hidden. To print them: --show-secrets'));
}

/** `nango connections delete`: deletes a connection. */
export async function deleteConnection(
  connection: ConnectionReference,
  { flags, terminal }: { flags: ConnectionsFlags; terminal: Terminal },
): Promise<void> {
  const { nango } = await openClient(flags);
  await nango.deleteConnection(connection, { revoke: flags.revoke ?? false });
  if (flags.json) terminal.out(JSON.stringify({ deleted: true, ...connection }));
  else terminal.err(`${terminal.style('green', '✓')} Deleted ${printable(describeConnection(connection))}.`);
}

function hideCredentials(credentials: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(credentials).map(([name, value]) => [name, name === 'expires_at' ? value : '[secret]']),
  );
}

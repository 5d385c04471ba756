import type { Connection } from '@nangohq/node-client';
import { openClient, type ClientFlags } from '../client.ts';
import { formatTable, printable, type Terminal } from '../terminal.ts';

/** Flags of `nango connections …`. */
export interface ConnectionsFlags extends ClientFlags {
  readonly json?: boolean;
  readonly user?: string;
  readonly integration?: string;
  readonly showSecrets?: boolean;
  readonly revoke?: boolean;
}

/** `nango connections list`: lists connections. */
export async function listConnections(flags: ConnectionsFlags, terminal: Terminal): Promise<void> {
  const { nango } = await openClient(flags);
  const found = await findConnections(flags, nango);
  if (flags.json) return terminal.out(JSON.stringify(found, null, 2));
  if (found.length === 0)
    return terminal.err('There are no connections yet. To make one: nango connect <integration> <userId>');
  const rows = found.map(({ integration, userId, authMode, status, lastModified, additionalConfig }) =>
    [integration, userId, accountOf(additionalConfig), authMode, status, lastModified].map(printable),
  );
  terminal.out(
    formatTable(
      [['INTEGRATION', 'USER ID', 'ACCOUNT', 'AUTH MODE', 'STATUS', 'LAST MODIFIED'], ...rows],
      terminal.columns,
    ),
  );
}

/** Returns the connected account's name, if the Blueprint requests it from the provider. */
function accountOf({ account_name: name, account_id: id }: Connection['additionalConfig']): string {
  const account = name ?? id;
  return typeof account === 'string' ? account : '';
}

async function findConnections(
  flags: ConnectionsFlags,
  nango: Awaited<ReturnType<typeof openClient>>['nango'],
): Promise<Connection[]> {
  if (flags.user !== undefined) {
    const { returnValue } = await nango.getConnectionsForUserId(flags.user);
    return returnValue.filter(
      ({ integration }) => flags.integration === undefined || integration === flags.integration,
    );
  }
  if (flags.integration !== undefined) return (await nango.getConnectionsForIntegration(flags.integration)).returnValue;
  return (await nango.getConnections()).returnValue;
}

/** `nango connections show`: prints a connection. Credentials are hidden without --show-secrets. */
export async function showConnection(
  integration: string,
  userId: string,
  { flags, terminal }: { flags: ConnectionsFlags; terminal: Terminal },
): Promise<void> {
  const { nango } = await openClient(flags);
  const { credentials, ...connection } = (await nango.getConnection(integration, userId)).returnValue;
  const shown = { ...connection, credentials: flags.showSecrets ? credentials : hideCredentials(credentials) };
  if (flags.json) return terminal.out(JSON.stringify(shown, null, 2));
  const ofCredentials = Object.entries(shown.credentials).map(
    ([name, value]) => [`credentials.${name}`, value] as const,
  );
  const rows = [...Object.entries(connection), ...ofCredentials].map(([name, value]) =>
    [name, typeof value === 'string' ? value : JSON.stringify(value)].map(printable),
  );
  terminal.out(formatTable(rows, terminal.columns));
  if (!flags.showSecrets) terminal.err(terminal.style('gray', 'Credentials are hidden. To print them: --show-secrets'));
}

/** `nango connections delete`: deletes a connection. */
export async function deleteConnection(
  integration: string,
  userId: string,
  { flags, terminal }: { flags: ConnectionsFlags; terminal: Terminal },
): Promise<void> {
  const { nango } = await openClient(flags);
  await nango.deleteConnection(integration, userId, { revoke: flags.revoke ?? false });
  if (flags.json) terminal.out(JSON.stringify({ deleted: true, integration, userId }));
  else
    terminal.err(
      `${terminal.style('green', '✓')} Deleted the connection of user "${printable(userId)}" ` +
        `to "${printable(integration)}".`,
    );
}

function hideCredentials(credentials: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(credentials).map(([name, value]) => [name, name === 'expires_at' ? value : '[secret]']),
  );
}

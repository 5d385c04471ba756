import type { ConnectionContext } from '../connections/connection-context.ts';
import { openStoredCredentials } from '../connections/sealed-credentials.ts';
import { storedMembers } from '../connections/public-connection.ts';
import type { ExportedConnection, ExportHeader } from './transfer-format.ts';

const PAGE_SIZE = 500;

/** Yields the lines of an export: a header, then one for each connection. With `clear`, credentials are not sealed. */
export async function* exportConnections(
  { store, vault, now }: Pick<ConnectionContext, 'store' | 'vault' | 'now'>,
  { clear }: { clear: boolean },
): AsyncGenerator<ExportHeader | ExportedConnection> {
  const exported_at = new Date(now()).toISOString();
  yield { nango_export: 2, credentials: clear ? 'clear' : 'sealed', exported_at };
  for (let after; ;) {
    const rows = await store.listConnections({ after, limit: PAGE_SIZE });
    for (const row of rows) {
      yield {
        ...storedMembers(row),
        credentials: clear ? openStoredCredentials(row, vault) : Buffer.from(row.sealedCredentials).toString('base64'),
      };
    }
    if (rows.length < PAGE_SIZE) return;
    after = rows.at(-1);
  }
}

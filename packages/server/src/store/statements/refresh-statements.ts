import { sql, type Kysely } from 'kysely';
import type { ConnectionChanges } from '../connection-changes.ts';
import { columns, toConnectionRow } from './connection-rows.ts';
import { updateConnection } from './connection-statements.ts';
import type { Database, DatabaseDialect } from '../database.ts';
import type { Store } from '../store.ts';

type RefreshStatements = Pick<
  Store,
  'leaseRefresh' | 'extendLease' | 'failRefresh' | 'dueConnections' | 'postponeRefresh'
>;

/**
 * Statements about refreshes and their leases. Each is atomic, so no transaction is open during the request to the
 * provider. All times are by the database's clock.
 */
export function refreshStatements(
  db: Kysely<Database>,
  clock: DatabaseDialect['now'],
  changes: ConnectionChanges,
): RefreshStatements {
  const after = (milliseconds: number) => sql<number>`${clock()} + ${milliseconds}`;
  return {
    async leaseRefresh(connection, { holder, lifeMs, version }) {
      const row = await updateConnection(db, connection)
        .set({
          // A lease that still exists has expired: its holder ended or lost its connection, and may have lost the
          // provider's response.
          answer_lost: sql<number>`case when lease_holder is null then answer_lost else 1 end`,
          lease_holder: holder,
          lease_expires_at: after(lifeMs),
        })
        .where('version', '=', version)
        .where('status', '=', 'active')
        .where((eb) => eb.or([eb('lease_holder', 'is', null), eb('lease_expires_at', '<=', clock())]))
        .returning(columns(clock))
        .executeTakeFirst();
      return row && toConnectionRow(row);
    },
    async extendLease(connection, { holder, lifeMs }) {
      const query = updateConnection(db, connection)
        .set({ lease_expires_at: after(lifeMs) })
        .where('lease_holder', '=', holder);
      return (await query.executeTakeFirst()).numUpdatedRows > 0n;
    },
    failRefresh: (connection, { holder, retryInMs, error, responseLost, refused, now }) =>
      changes.run(async (transaction, recordChange) => {
        const failed = await updateConnection(transaction, connection)
          .set((eb) => ({
            lease_holder: null,
            lease_expires_at: null,
            retry_at: after(retryInMs),
            refresh_failures: eb('refresh_failures', '+', 1),
            refresh_error: error,
            ...(responseLost ? { answer_lost: 1 } : {}),
            ...(refused ? countRefusal(clock) : {}),
          }))
          .where('lease_holder', '=', holder)
          .returning(columns(clock))
          .executeTakeFirst();
        // An outage is reported once, at its beginning. connection.recovered reports its end.
        const row = failed && toConnectionRow(failed);
        if (row)
          await recordChange(row.refresh.failures === 1 ? ['connection.refresh_failed'] : [], row, { now, error });
      }),
    async postponeRefresh(connection, until) {
      await updateConnection(db, connection).set({ due_at: until }).where('lease_holder', 'is', null).execute();
    },
    async dueConnections({ now, limit, except }) {
      const due = db
        .selectFrom('connections')
        .select(columns(clock))
        .where('due_at', '<=', now)
        .where('due_at', 'is not', null)
        .where('status', '=', 'active')
        .where((eb) => eb.or([eb('retry_at', 'is', null), eb('retry_at', '<=', clock())]))
        .where((eb) => eb.or([eb('lease_holder', 'is', null), eb('lease_expires_at', '<=', clock())]))
        .orderBy('due_at')
        .limit(limit);
      const rows = await (except.length === 0 ? due : due.where('integration', 'not in', except)).execute();
      return rows.map(toConnectionRow);
    },
  };
}

/** Counts a rejected refresh. The count applies to one version of the credentials; another version starts at zero. */
function countRefusal(clock: DatabaseDialect['now']) {
  return {
    refused_version: sql<number>`version`,
    refused_count: sql<number>`case when refused_version = version then refused_count + 1 else 1 end`,
    refused_at: sql<number>`case when refused_version = version then refused_at else ${clock()} end`,
  };
}

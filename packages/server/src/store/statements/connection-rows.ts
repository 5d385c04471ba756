import { sql, type RawBuilder, type Selectable } from 'kysely';
import type { Database, DatabaseDialect } from '../database.ts';
import type { ConnectionRow, ProviderGrant, ProviderIdentity } from '../store.ts';

/** The columns of a connection with new credentials: it has no lease and no failures. */
export const NO_REFRESH = {
  lease_holder: null,
  lease_expires_at: null,
  retry_at: null,
  refresh_failures: 0,
  refresh_error: null,
  answer_lost: 0,
};

/** Returns a row's columns. Times of refreshes are durations from now. */
export function columns(clock: DatabaseDialect['now']) {
  const remaining = (column: 'connections.lease_expires_at' | 'connections.retry_at') =>
    sql<number | null>`${sql.ref(column)} - ${clock()}`;
  // The counts of an earlier version of the credentials do not apply.
  const refused = (value: RawBuilder<unknown>) =>
    sql<number | null>`case when connections.refused_version = connections.version then ${value} end`;
  return [
    'connections.uuid',
    'connections.integration',
    'connections.user_id',
    'connections.account',
    'connections.auth_mode',
    'connections.sealed_credentials',
    'connections.additional_config',
    'connections.tags',
    'connections.requested_scopes',
    'connections.granted_scopes',
    'connections.identity_user',
    'connections.identity_workspace',
    'connections.identity_name',
    'connections.oauth_client_id',
    'connections.status',
    'connections.status_reason',
    'connections.expires_at',
    'connections.version',
    'connections.due_at',
    'connections.refresh_failures',
    'connections.refresh_error',
    'connections.answer_lost',
    'connections.created_at',
    'connections.updated_at',
    remaining('connections.lease_expires_at').as('leased_ms'),
    remaining('connections.retry_at').as('retry_in_ms'),
    refused(sql.ref('connections.refused_count')).as('refusals'),
    refused(sql`${clock()} - connections.refused_at`).as('refused_for_ms'),
  ] as const;
}

/** A row as {@link columns} selects it. */
export type SelectedRow = Pick<
  Selectable<Database['connections']>,
  | 'uuid'
  | 'integration'
  | 'user_id'
  | 'account'
  | 'auth_mode'
  | 'sealed_credentials'
  | 'additional_config'
  | 'tags'
  | 'requested_scopes'
  | 'granted_scopes'
  | IdentityColumn
  | 'oauth_client_id'
  | 'status'
  | 'status_reason'
  | 'expires_at'
  | 'version'
  | 'due_at'
  | 'refresh_failures'
  | 'refresh_error'
  | 'answer_lost'
  | 'created_at'
  | 'updated_at'
> &
  Record<'leased_ms' | 'retry_in_ms' | 'refusals' | 'refused_for_ms', number | null>;

/** Turns a row into what the store returns. */
export function toConnectionRow(row: SelectedRow): ConnectionRow {
  return {
    id: row.uuid,
    integration: row.integration,
    userId: row.user_id,
    account: row.account,
    authMode: row.auth_mode,
    sealedCredentials: row.sealed_credentials,
    additionalConfig: row.additional_config,
    tags: row.tags,
    requestedScopes: row.requested_scopes,
    grantedScopes: row.granted_scopes,
    identity: toIdentity(row),
    oauthClientId: row.oauth_client_id,
    status: row.status,
    statusReason: row.status_reason,
    expiresAt: row.expires_at,
    version: row.version,
    dueAt: row.due_at,
    refresh: {
      leasedMs: positiveOrNull(row.leased_ms),
      retryInMs: positiveOrNull(row.retry_in_ms),
      failures: row.refresh_failures,
      lastError: row.refresh_error,
      responseLost: row.answer_lost === 1,
      refusals: row.refusals ?? 0,
      refusedForMs: row.refused_for_ms,
    },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

type IdentityColumn = 'identity_user' | 'identity_workspace' | 'identity_name';

/** Turns columns into an identity; null if it is unknown. */
export function toIdentity({
  identity_user: user,
  identity_workspace: workspace,
  identity_name: name,
}: Pick<SelectedRow, IdentityColumn>): ProviderIdentity | null {
  return user === null ? null : { user, workspace, name };
}

/** Turns what changes of a grant into columns. */
export function toGrantColumns(grant: Partial<ProviderGrant>) {
  const { requestedScopes, grantedScopes, identity } = grant;
  return {
    ...(requestedScopes === undefined ? {} : { requested_scopes: requestedScopes }),
    ...(grantedScopes === undefined ? {} : { granted_scopes: grantedScopes }),
    ...(identity === undefined
      ? {}
      : {
          identity_user: identity?.user ?? null,
          identity_workspace: identity?.workspace ?? null,
          identity_name: identity?.name ?? null,
        }),
  };
}

function positiveOrNull(milliseconds: number | null): number | null {
  return milliseconds !== null && milliseconds > 0 ? milliseconds : null;
}

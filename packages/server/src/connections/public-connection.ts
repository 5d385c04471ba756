import { z } from 'zod';
import type { AuthMode, BaseCredentials, Integration, JsonObject } from '../auth-modes/auth-mode.ts';
import { MAX_SCOPE, MAX_SCOPES } from '../auth-modes/scopes.ts';
import { jsonValue } from '../formats/parse-json.ts';
import type { ConnectionRow } from '../store/store.ts';
import { parseConfig, type ConnectionContext, type OpenConnection } from './connection-context.ts';
import { additionalConfigSchema, identitySchema, parseTags, tagsSchema } from './connection-input.ts';
import { missingScopesOf, parseScopes } from './granted-scopes.ts';
import { statusMessageOf } from './status-message.ts';
import { Secret } from '../vault/secret.ts';

const scopeList = z.array(z.string().max(MAX_SCOPE)).max(2 * MAX_SCOPES);

/** A connection as the API shows it; times are ISO 8601. */
export const publicConnectionSchema = z.object({
  id: z.string().describe('Stays the same after a reconnect'),
  uuid: z.string().describe('The id, by its name in earlier releases'),
  integration: z.string(),
  userId: z.string(),
  account: z.string().describe('The application’s own name of one of the user’s accounts'),
  authMode: z.string(),
  dateCreated: z.iso.datetime(),
  lastModified: z.iso.datetime(),
  additionalConfig: additionalConfigSchema,
  tags: tagsSchema,
  oauthClient: z
    .object({ clientId: z.string() })
    .nullable()
    .describe('The customer’s own OAuth app; null = the client of the Integration'),
  identity: identitySchema,
  requestedScopes: scopeList.nullable().describe('The scopes that were asked for; null if unknown'),
  grantedScopes: scopeList.nullable().describe('The scopes that the provider granted; null if it did not say'),
  missingScopes: scopeList.nullable().describe('Requested scopes that were not granted; null if unknown'),
  status: z.enum(['active', 'needs_reconnect']),
  statusReason: z.string().nullable().describe('Why the user has to connect again, in words for developers'),
  statusMessage: z.string().nullable().describe('The same in words for the user'),
});

/** Credentials as the API shows them. Numbers in `raw` keep all digits. */
export const publicCredentialsSchema = z.looseObject({ raw: z.record(z.string(), jsonValue) });

/** A connection as the API shows it, without credentials. */
export type PublicConnection = z.output<typeof publicConnectionSchema>;

/** Returns a row without its credentials. */
export function toPublicConnection(
  row: ConnectionRow,
  { config }: Pick<ConnectionContext, 'config'>,
): PublicConnection {
  const integration = config().integrations.get(row.integration);
  return { ...storedMembers(row), ...derivedMembers(row, integration) };
}

type DerivedMember = 'missingScopes' | 'statusMessage';

function derivedMembers(
  row: ConnectionRow,
  integration: Integration | undefined,
): Pick<PublicConnection, DerivedMember> {
  return { missingScopes: missingScopesOf(row, integration), statusMessage: statusMessageOf(row) };
}

/** Returns what is stored of a connection, without its credentials. */
export function storedMembers(row: ConnectionRow): Omit<PublicConnection, DerivedMember> {
  return {
    id: row.id,
    uuid: row.id,
    integration: row.integration,
    userId: row.userId,
    account: row.account,
    authMode: row.authMode,
    dateCreated: new Date(row.createdAt).toISOString(),
    lastModified: new Date(row.updatedAt).toISOString(),
    additionalConfig: parseConfig(row.additionalConfig),
    tags: parseTags(row.tags),
    oauthClient: row.oauthClientId === null ? null : { clientId: row.oauthClientId },
    identity: row.identity && { ...row.identity },
    requestedScopes: parseScopes(row.requestedScopes),
    grantedScopes: parseScopes(row.grantedScopes),
    status: row.status,
    statusReason: row.statusReason,
  };
}

/** A connection with the credentials the SDKs return. */
export interface ConnectionWithCredentials {
  readonly connection: PublicConnection;
  readonly credentials: { readonly raw: JsonObject } & Record<string, unknown>;
}

/** Returns a connection with its credentials as the API shows them; `raw` is always present. */
export function withCredentials({ row, integration, mode, credentials }: OpenConnection): ConnectionWithCredentials {
  return {
    connection: { ...storedMembers(row), ...derivedMembers(row, integration) },
    credentials: { ...toPublicCredentials(credentials, mode), raw: credentials.raw.reveal() },
  };
}

/** Credentials as the SDKs return them, in the clear. Times are ISO 8601. */
function toPublicCredentials(credentials: BaseCredentials, { times }: AuthMode): Record<string, unknown> {
  const { grant: _, ...rest } = credentials;
  const members = Object.entries(rest).map(([name, value]: [string, unknown]) => {
    if (value instanceof Secret) return [name, value.reveal()] as const;
    const isTime = times.includes(name) && typeof value === 'number';
    return [name, isTime ? new Date(value).toISOString() : value] as const;
  });
  return Object.fromEntries(members);
}

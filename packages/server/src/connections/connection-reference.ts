import { integrationNameSchema } from '../config/integration-name.ts';
import { NangoError } from '../errors/nango-error.ts';
import { DEFAULT_ACCOUNT, type ConnectionKey, type ConnectionRow } from '../store/store.ts';
import type { ConnectionContext } from './connection-context.ts';
import { accountSchema, connectionIdSchema, userIdSchema } from './connection-input.ts';

/** A connection by its id. The Integration, if it is named, must be the connection's. */
export interface ConnectionById {
  readonly connectionId: string;
  readonly integration: string | undefined;
}

/** How a caller names a connection: by its key or by its id. */
export type ConnectionReference = ConnectionKey | ConnectionById;

/** The fields that name a connection, in a query, a body or headers. {@link parseReference} reads them. */
export const referenceShape = {
  connectionId: connectionIdSchema.optional(),
  integration: integrationNameSchema.optional(),
  userId: userIdSchema.optional(),
  account: accountSchema.optional(),
};

type ReferenceFields = { [Field in keyof typeof referenceShape]?: string | undefined };

/** Throws `invalid_request` unless the fields name exactly one connection. */
export function parseReference({ connectionId, integration, userId, account }: ReferenceFields): ConnectionReference {
  if (connectionId !== undefined) {
    if (userId === undefined && account === undefined) return { connectionId, integration };
    throw new NangoError('invalid_request', 'Name the connection by connectionId, or by userId and account, not both.');
  }
  if (integration !== undefined && userId !== undefined)
    return { integration, userId, account: account ?? DEFAULT_ACCOUNT };
  const missing = integration === undefined ? 'integration' : 'userId';
  throw new NangoError(
    'invalid_request',
    `${missing} is missing. Name the connection by integration and userId, or by connectionId.`,
  );
}

/** Whether a reference names its connection by the id. */
export function isById(reference: ConnectionReference): reference is ConnectionById {
  return 'connectionId' in reference;
}

/** Reads the connection that a reference names. Throws the errors of {@link throwNotFound}. */
export async function findReferenced(
  reference: ConnectionReference,
  context: Pick<ConnectionContext, 'store'>,
): Promise<ConnectionRow> {
  return (await readReferenced(reference, context)) ?? throwNotFound(reference, context);
}

/** Undefined if there is no such connection. */
export async function readReferenced(
  reference: ConnectionReference,
  { store }: Pick<ConnectionContext, 'store'>,
): Promise<ConnectionRow | undefined> {
  if (!isById(reference)) return store.findConnection(reference);
  const row = await store.findConnectionById(reference.connectionId);
  return row && isOfIntegration(row, reference) ? row : undefined;
}

/** Whether a connection is of the Integration that the reference names. */
export function isOfIntegration(
  row: Pick<ConnectionRow, 'integration'>,
  { integration }: ConnectionReference,
): boolean {
  return integration === undefined || integration === row.integration;
}

// More are not listed in an error.
const MAX_NAMED = 20;

/**
 * Throws `ambiguous_connection` if the default account is missing, and the user has others connected: none of them is
 * chosen silently. Otherwise throws `connection_not_found`.
 */
export async function throwNotFound(
  reference: ConnectionReference,
  { store }: Pick<ConnectionContext, 'store'>,
): Promise<never> {
  if (isById(reference)) {
    const of = reference.integration === undefined ? '' : ` to "${reference.integration}"`;
    throw new NangoError(
      'connection_not_found',
      `There is no connection${of} with the id "${reference.connectionId}".`,
    );
  }
  const { integration, userId, account } = reference;
  const missing = `User "${userId}" has no connection to "${integration}"`;
  if (account !== DEFAULT_ACCOUNT)
    throw new NangoError('connection_not_found', `${missing} with the account "${account}".`);
  const others = await store.listConnections({ integration, userId, limit: MAX_NAMED });
  if (others.length === 0) throw new NangoError('connection_not_found', `${missing}.`);
  const list = others.map((other) => `"${other.account}" (${other.id})`).join(', ');
  throw new NangoError(
    'ambiguous_connection',
    `${missing} with the account "default". Name one of these accounts, or its id: ${list}.`,
  );
}

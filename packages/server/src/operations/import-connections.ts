import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { NangoError, messageOf } from '../errors/nango-error.ts';
import { describeIssue, problemsOf } from '../schema/describe-issue.ts';
import { connectionKeyText, type ConnectionKey, type ImportedConnection } from '../store/store.ts';
import {
  assertConfig,
  authModeOf,
  configOf,
  integrationNamed,
  type ConnectionContext,
} from '../connections/connection-context.ts';
import { formatScopes } from '../connections/granted-scopes.ts';
import { createSeal, oauthClientIn, openStoredCredentials } from '../connections/sealed-credentials.ts';
import { assertCanStoreAccount } from '../connect/accounts.ts';
import { acceptCredentials, credentialsProblem } from '../connect/parse-credentials.ts';
import { scheduleOf } from '../refresh/refresh-schedule.ts';
import {
  exportedConnectionSchema,
  foreignConnectionSchema,
  type ExportHeader,
  type ForeignConnection,
} from './transfer-format.ts';

/** An entry of a file to import. */
export interface ImportEntry {
  /** The entry's line, from 1. */
  readonly line: number;
  readonly value: unknown;
}

/** A file to import: one of our exports, or, if `header` is undefined, connections of another system. */
export interface ImportSource {
  readonly header: ExportHeader | undefined;
  readonly entries: AsyncIterable<ImportEntry>;
}

/** A fault of an entry, with its line. */
export interface ImportFault {
  readonly line: number;
  readonly message: string;
}

/** What to do if the user already has a connection. */
export type OnExisting = 'fail' | 'skip' | 'replace';

const MAX_FAULTS = 50;
const BATCH = 200;

/** Finds the faults of a file, at most 50. Nothing is sent or stored. */
export async function checkImport(
  { header, entries }: ImportSource,
  { existing, context }: { existing: OnExisting; context: ConnectionContext },
): Promise<{ count: number; faults: ImportFault[] }> {
  const faults: ImportFault[] = [];
  const lines = new Map<string, number>();
  let count = 0;
  for await (const { line, value } of entries) {
    count += 1;
    try {
      const key = header ? await parseExported(value, context) : await checkForeign(value, context);
      const name = connectionKeyText(key);
      const earlier = lines.get(name);
      if (earlier !== undefined) throw new NangoError('invalid_import', `line ${earlier} has the same connection`);
      lines.set(name, line);
      if (existing === 'fail' && (await context.store.findConnection(key)))
        throw new NangoError('invalid_import', 'the user already has a connection to this Integration');
    } catch (error) {
      faults.push({ line, message: describeFault(error) });
    }
    if (faults.length === MAX_FAULTS) break;
  }
  return { count, faults };
}

/** Stores checked connections, in batches. A connection that a provider rejects is a fault; all others are stored. */
export async function importConnections(
  { header, entries }: ImportSource,
  {
    existing,
    context,
    onProgress,
  }: { existing: OnExisting; context: ConnectionContext; onProgress: (stored: number) => void },
): Promise<{ stored: number; faults: ImportFault[] }> {
  const faults: ImportFault[] = [];
  let stored = 0;
  let batch: ImportedConnection[] = [];
  const store = async () => {
    stored += await context.store.importConnections(batch, { replace: existing === 'replace' });
    batch = [];
    onProgress(stored);
  };
  for await (const { line, value } of entries) {
    try {
      batch.push(header ? await parseExported(value, context) : await acceptForeign(value, context));
    } catch (error) {
      faults.push({ line, message: describeFault(error) });
    }
    if (batch.length === BATCH) await store();
  }
  if (batch.length > 0) await store();
  return { stored, faults };
}

/** Parses a connection of one of our exports, and seals its credentials for this store. */
async function parseExported(value: unknown, context: ConnectionContext): Promise<ImportedConnection> {
  const parsed = exportedConnectionSchema.parse(value, { error: describeIssue });
  const { credentials: input, dateCreated, lastModified, uuid, id: _, additionalConfig, tags, ...members } = parsed;
  const { requestedScopes, grantedScopes, identity, oauthClient: _client, ...rest } = members;
  const integration = integrationNamed(rest.integration, context);
  const mode = authModeOf(integration);
  if (mode.name !== rest.authMode)
    throw new NangoError('invalid_import', `"${rest.integration}" uses auth_mode ${mode.name}, not ${rest.authMode}`);
  await assertCanStoreAccount(rest, context);
  const plain =
    typeof input === 'string'
      ? openStoredCredentials({ ...rest, id: uuid, sealedCredentials: Buffer.from(input, 'base64') }, context.vault)
      : input;
  const credentials = mode.storedCredentials.parse(plain);
  const oauthClient = oauthClientIn(plain);
  return {
    ...rest,
    id: uuid,
    seal: await createSeal({ credentials, oauthClient }, rest, context),
    oauthClientId: oauthClient?.clientId,
    additionalConfig: JSON.stringify(additionalConfig),
    tags: JSON.stringify(tags),
    grant: { requestedScopes: formatScopes(requestedScopes), grantedScopes: formatScopes(grantedScopes), identity },
    ...scheduleOf(credentials, { mode, integration }, context),
    createdAt: Date.parse(dateCreated),
    updatedAt: Date.parse(lastModified),
  };
}

async function checkForeign(value: unknown, context: ConnectionContext): Promise<ConnectionKey> {
  const connection = foreignConnectionSchema.parse(value, { error: describeIssue });
  await assertCanStoreAccount(connection, context);
  const problem = credentialsProblem(parseInput(connection, context));
  if (problem !== undefined) throw new NangoError('invalid_import', `credentials: ${problem}`);
  return connection;
}

async function acceptForeign(value: unknown, context: ConnectionContext): Promise<ImportedConnection> {
  const connection = foreignConnectionSchema.parse(value, { error: describeIssue });
  const { integration: name, userId, account, additionalConfig, tags } = connection;
  const input = parseInput(connection, context);
  const credentials = await acceptCredentials(input, context);
  const mode = authModeOf(input.integration);
  return {
    id: randomUUID(),
    integration: name,
    userId,
    account,
    authMode: mode.name,
    seal: await createSeal({ credentials }, connection, context),
    additionalConfig: JSON.stringify(additionalConfig),
    tags: JSON.stringify(tags),
    status: 'active',
    statusReason: null,
    ...scheduleOf(credentials, { mode, integration: input.integration }, context),
    createdAt: context.now(),
    updatedAt: context.now(),
  };
}

function parseInput(
  { integration: name, credentials, additionalConfig }: ForeignConnection,
  context: ConnectionContext,
) {
  const integration = integrationNamed(name, context);
  assertConfig(integration, additionalConfig);
  const config = configOf(integration, additionalConfig);
  return { integration, credentials, config, from: 'application' as const };
}

function describeFault(error: unknown): string {
  return error instanceof z.ZodError ? problemsOf(error, 'it') : messageOf(error);
}
